"""Networks of a few thousand weights, and whole problems for them, with every number known.

Words are written as their ids, so that templates such as "7 8 {}" need no vocabulary. Ids are
ordered as in CLIP's vocabulary: words < start < end < learned tokens.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

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
from configs.mcti import pocket
from mcti_jax.losses import Networks
from mcti_jax.objective import Layout, Objective, class_bank, class_latents, prepare
from mcti_jax.prompts import Prompts

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
# The slot at three places; the first has words behind it, the only case in which the learned
# token is not the last but one.
TEMPLATES = ("3 14 {} 15 92", "65 35 89 79 {}", "3 14 65 35 89 79 32 {}")
LABELS = np.repeat(np.arange(5), (3, 2, 4, 1, 3))


class NumberTokenizer(Tokenizer):
    """Reads words that are written as their ids."""

    def __init__(self):
        self.bos, self.eos, self.pad = TEXT.bos, TEXT.eos, TEXT.pad
        self.vocab_size, self.length = TEXT.vocab_size, TEXT.positions

    def encode(self, text):
        return [int(word) for word in text.split()]

    def decode(self, token):
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
    """The default configuration with some fields changed."""
    config = pocket()
    config.update({"compare_ti": False, **changes})
    return config


@dataclass(frozen=True)
class Photos:
    """What the caches hold of some photos: of each itself, then of each its mirror."""

    labels: np.ndarray
    features: np.ndarray
    mean: np.ndarray
    logvar: np.ndarray

    def entries(self, field, label):
        """All that one class draws from."""
        own = self.labels == label
        photos, mirrors = getattr(self, field)
        return np.concatenate([photos[own], mirrors[own]])


@dataclass(frozen=True)
class Problem:
    """An objective with all that it reads, and what it was made of."""

    objective: Objective
    frozen: dict
    tokens: np.ndarray
    key: jax.Array
    photos: Photos
    prompts: Prompts

    @property
    def layout(self):
        return self.objective.layout

    def on(self, devices):
        """Arguments of the objective on a mesh of the first devices, laid out for training."""
        axes = (AxisType.Auto, AxisType.Auto)
        mesh = jax.make_mesh(
            (devices, 1), ("data", "model"), axis_types=axes, devices=jax.devices()[:devices]
        )
        by_row, everywhere = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
        frozen = jax.device_put(self.frozen, everywhere)
        frozen["rows"] = jax.device_put(self.frozen["rows"], by_row)
        tokens = {"tokens": jax.device_put(self.tokens, by_row)}
        batch = {"step": jnp.float32(0)}
        return mesh, jax.device_put((batch, self.key), everywhere), tokens, frozen

    def compiled(self, devices=1):
        """The program of value and gradient, and its arguments."""
        mesh, (batch, key), tokens, frozen = self.on(devices)
        with jax.set_mesh(mesh):
            program = jax.jit(
                jax.value_and_grad(self.objective, has_aux=True),
                out_shardings=(None, {"tokens": NamedSharding(mesh, P("data"))}),
            )
            arguments = tokens, frozen, batch, key
            return program.lower(*arguments).compile(compiler_options=QUICK), arguments

    def differentiate(self, devices=1):
        """Runs it once."""
        program, arguments = self.compiled(devices)
        (value, metrics), gradient = program(*arguments)
        rows = np.asarray(gradient["tokens"])
        return Differentiated(
            value=float(value),
            metrics=jax.tree.map(float, metrics),
            rows=rows,
            gradient=self.layout.by_variant(rows),
            program=program.as_text(),
        )


@dataclass(frozen=True)
class Differentiated:
    """An objective's outcome: `gradient` by variant and class, `rows` with padding."""

    value: float
    metrics: dict
    rows: np.ndarray
    gradient: np.ndarray
    program: str


def random_photos(labels, latent, seed=0):
    """Features far from unit length, and posteriors."""
    rng = np.random.default_rng(seed)
    mean, logvar = rng.standard_normal((2, 2, len(labels), *latent)).astype(np.float32)
    features = 3 * rng.standard_normal((2, len(labels), FEATURES)).astype(np.float32)
    return Photos(labels, features, mean, logvar - 2)


def problem(*, devices=1, labels=LABELS, seed=0, **changes):
    """Random photos under random networks."""
    config = settings(**changes)
    photos = random_photos(labels, LATENT, seed)
    text = TextTower(TEXT)
    params = {
        "text": random_params(text, jnp.zeros((1, 7, 32)), jnp.zeros(1, int), seed=seed),
        "projection": np.random.default_rng(seed).normal(0, 0.2, (32, FEATURES)).astype("f4"),
    }
    unet = UNet(UNetConfig.from_dict(UNET)) if config.alpha else None
    if unet:
        inputs = jnp.zeros((1, *LATENT)), jnp.zeros(1, int), jnp.zeros((1, 7, 32))
        params["unet"] = random_params(unet, *inputs, seed=seed)
    networks = Networks(unet, NoiseSchedule(**SCHEDULE), text, None, LATENT_SCALE)
    prompts = Prompts.from_templates(NumberTokenizer(), TEMPLATES, config.vectors)
    return assemble(config, networks, params, prompts, photos, devices, seed)


def assemble(config, networks, params, prompts, photos, devices=1, seed=0):
    """Lays out a problem the way the method does."""
    classes = int(photos.labels.max()) + 1
    layout = Layout.of(config, classes, devices)
    table = params["text"]["token_embedding"]
    read = prompts if networks.unet else prompts.cut()
    frozen = {
        "params": params,
        "prompts": prepare(table, read, config.pool),
        "bank": class_bank(photos.features, photos.labels, classes, config.prototypes),
        "rows": class_latents(layout, photos.mean, photos.logvar, photos.labels),
        "start": np.repeat(table[7:8], config.vectors, axis=0),
    }
    noise = np.random.default_rng(seed).normal(
        0, 0.1, (layout.size, config.vectors, table.shape[1])
    )
    return Problem(
        Objective(networks, layout, config),
        frozen,
        tokens=(frozen["start"] + noise).astype(np.float32),
        key=jax.random.key(seed),
        photos=photos,
        prompts=prompts,
    )
