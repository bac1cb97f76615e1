"""Random models in the hub's own cache, for commands that name published ones.

They have the files, the layout and the pixels of the published models, but so few weights and
latents that a laptop makes 3,100 updates in minutes.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from common.clip import (
    CLIP,
    CLIPConfig,
    Preprocess,
    TextConfig,
    TextTower,
    Tokenizer,
    ViT,
    ViTConfig,
    save_clip,
)
from common.diffusion import (
    AutoencoderKL,
    Modules,
    NoiseSchedule,
    StableDiffusion,
    UNet,
    UNetConfig,
    VAEConfig,
    save_stable_diffusion,
)

STABLE_DIFFUSION = "stable-diffusion-v1-5/stable-diffusion-v1-5"
CLIP_L = "openai/clip-vit-large-patch14"
REVISION = "0" * 40

# Words that are one token each, as the nouns that tokens start from have to be.
WORDS = ("a", "photo", "of", "on", "the", "dog", "thing", "object", "mug")
WIDTH, IMAGE, PIXELS = 32, 32, 512

LEVELS = (4, 4, 4, 4, 4, 8)  # each but the first halves a picture
VAE = VAEConfig(block_out_channels=LEVELS, layers_per_block=1, norm_num_groups=4)
UNET = UNetConfig(
    sample_size=PIXELS // 2 ** (len(LEVELS) - 1),
    block_out_channels=(4, 8),
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
    up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    layers_per_block=1,
    attention_head_dim=2,
    cross_attention_dim=WIDTH,
    norm_num_groups=4,
)
SCHEDULE = NoiseSchedule(
    beta_start=0.00085,
    beta_end=0.012,
    beta_schedule="scaled_linear",
    steps_offset=1,
    set_alpha_to_one=False,
)

Make = Callable[..., dict[str, Any]]
"""Makes the weights of a module from its inputs."""


def initial(module: nn.Module, *inputs: Any) -> dict[str, Any]:
    """Return the weights that a module starts from."""
    params = jax.jit(module.init)(jax.random.key(0), *inputs)["params"]
    return jax.tree.map(np.asarray, params)


def write_hub(home: Path) -> Mapping[str, str]:
    """Write both models below `home` and return the environment that finds them there."""
    tokenizer = write_tokenizer(home / "tokenizer")
    clip = random_clip(tokenizer)
    save_clip(clip, _snapshot(home, CLIP_L))
    save_stable_diffusion(random_stable_diffusion(clip), _snapshot(home, STABLE_DIFFUSION))
    return {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}


def _snapshot(home: Path, name: str) -> Path:
    """Return the folder of a model's only revision, as the hub's client keeps it."""
    model = home / "hub" / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(REVISION)
    return model / "snapshots" / REVISION


def write_tokenizer(directory: Path, words: Sequence[str] = WORDS) -> Tokenizer:
    """Write CLIP's kind of tokenizer: every letter and every one of `words` is a token."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges: list[tuple[str, str]] = []
    for word in words:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            if (pieces[0], pieces[1]) not in merges:
                merges.append((pieces[0], pieces[1]))
            pieces[:2] = ["".join(pieces[:2])]
            if pieces[0] not in vocabulary:
                vocabulary.append(pieces[0])
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: n for n, token in enumerate(vocabulary)}, merges=merges)
    directory.mkdir(parents=True)
    tokenizer.save_pretrained(str(directory))
    return Tokenizer.from_directory(directory)


def random_clip(
    tokenizer: Tokenizer,
    width: int = WIDTH,
    image: int = IMAGE,
    layers: int = 1,
    make: Make = initial,
) -> CLIP:
    """Return a CLIP with so many layers of text and one of images."""
    sizes = {"width": width, "heads": 2, "mlp_width": 2 * width, "projection": width}
    text = TextConfig(
        tokenizer.vocab_size,
        layers=layers,
        pool="argmax",
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        pad=tokenizer.pad,
        **sizes,
    )
    vision = ViTConfig(image, 8, layers=1, **sizes)
    states = jnp.zeros((1, 3, width)), jnp.zeros(1, int)
    params = {
        "text": make(TextTower(text), *states),
        "vision": make(ViT(vision), jnp.zeros((1, image, image, 3))),
        "logit_scale": np.float32(np.log(100)),
    }
    return CLIP(CLIPConfig(text, vision), params, tokenizer, Preprocess(image), "")


def random_stable_diffusion(
    clip: CLIP,
    unet: UNetConfig = UNET,
    vae: VAEConfig = VAE,
    schedule: NoiseSchedule = SCHEDULE,
    make: Make = initial,
) -> StableDiffusion:
    """Write a Stable Diffusion that conditions on the CLIP's text; by default for 512 pixels."""
    tower = TextTower(replace(clip.config.text, projection=None))
    modules = Modules(UNet(unet), AutoencoderKL(vae), tower, schedule)
    states = jnp.zeros((1, 77, unet.cross_attention_dim))
    params = {
        "unet": make(modules.unet, jnp.zeros((1, 8, 8, 4)), jnp.zeros(1), states),
        "vae": make(modules.vae, jnp.zeros((1, 32, 32, 3))),
        "text": {name: x for name, x in clip.params["text"].items() if name != "projection"},
    }
    return StableDiffusion(modules, clip.tokenizer, params, "")
