"""Networks of a few thousand weights.

Words are written as their ids, so that templates such as "7 8 {}" need no vocabulary. Ids are
ordered as in CLIP's vocabulary: words < start < end < learned tokens.
"""

from dataclasses import replace

import jax
import numpy as np

from common.clip import CLIP, CLIPConfig, Preprocess, TextConfig, TextTower, Tokenizer, ViTConfig
from common.diffusion import (
    AutoencoderKL,
    Modules,
    NoiseSchedule,
    StableDiffusion,
    UNet,
    UNetConfig,
    VAEConfig,
)
from configs.mcti import defaults

TEXT = TextConfig(
    vocab_size=1009,
    width=32,
    layers=1,
    heads=4,
    mlp_width=64,
    bos=1000,
    eos=1001,
    pad=1001,
    pool="argmax",
)
SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
# One level, one layer: everything that a text reaches, and nothing else to compile.
UNET = {
    "sample_size": 4,
    "block_out_channels": [16],
    "down_block_types": ["CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 2,
    "cross_attention_dim": 32,
    "norm_num_groups": 4,
}
LATENT = (4, 4, 4)
LATENT_SCALE = 0.18215
FEATURES = 24
# Compiling is what these tests spend their time on, so the compiler is told not to try hard.
QUICK = {"xla_backend_optimization_level": 0}


class NumberTokenizer(Tokenizer):
    """Reads words that are written as their ids."""

    def __init__(self):
        self.bos, self.eos, self.pad = TEXT.bos, TEXT.eos, TEXT.pad
        self.vocab_size, self.length = TEXT.vocab_size, TEXT.positions

    def encode(self, text):
        return [int(word) for word in text.split()]

    def decode(self, token):
        return str(token)

    def word(self, token):
        return str(token)


def models(clip_layers=TEXT.layers, **params):
    """A Stable Diffusion of 8-pixel pictures and its CLIP; weights only if they are given."""
    unet = UNet(UNetConfig.from_dict(UNET))
    vae = AutoencoderKL(VAEConfig(block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4))
    modules = Modules(unet, vae, TextTower(TEXT), NoiseSchedule(**SCHEDULE))
    text = replace(TEXT, layers=clip_layers, projection=FEATURES)
    vision = ViTConfig(8, 4, width=16, layers=1, heads=2, mlp_width=16, projection=FEATURES)
    tokenizer = NumberTokenizer()
    return (
        StableDiffusion(modules, tokenizer, params, "sd"),
        CLIP(CLIPConfig(text, vision), params, tokenizer, Preprocess(8), "clip"),
    )


def random_params(module, *inputs, seed=0, **options):
    """Parameters of usual size; zeros and ones are disturbed, so that each one matters."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: module.init(key, *inputs, **options), jax.random.key(0))

    def leaf(path, shape):
        noise = rng.standard_normal(shape.shape).astype(np.float32)
        name = path[-1].key
        if name == "kernel":
            return noise / np.sqrt(np.prod(shape.shape[:-1])).astype(np.float32)
        return {"scale": 1 + 0.1 * noise, "bias": 0.1 * noise}.get(name, 0.5 * noise)

    return jax.tree_util.tree_map_with_path(leaf, shapes["params"])


def settings(**changes):
    """The default configuration with the paper's term at its weight and rate, and changes."""
    config = defaults()
    paper = {"classification": "paper", "gamma": 1.0, "learning_rate": 5e-4, "compare_ti": False}
    config.update(paper | changes)
    return config
