"""A Stable Diffusion and its CLIP with random weights, small enough to train in seconds."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from transformers import CLIPTokenizer

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
from tests.mcti.tiny import random_params

# What the 27 templates and the tests' prompts are made of.
WORDS = (
    *("a", "the", "my", "one", "photo", "of", "clean", "cool", "nice", "small", "dirty", "weird"),
    *("large", "rendering", "rendition", "cropped", "good", "close", "-", "up", "dark", "bright"),
    *("thing", "on", "sand", "cat", "dog", "fox"),
)
WIDTH, IMAGE, LATENT = 16, 16, 4


def make_tokenizer(directory: Path) -> Tokenizer:
    """A word-level CLIP tokenizer: every character and every one of `WORDS` is a token."""
    letters = sorted({letter for word in WORDS for letter in word})
    vocabulary = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = []
    for word in WORDS:
        pieces = [*word[:-1], f"{word[-1]}</w>"]
        while len(pieces) > 1:
            if tuple(pieces[:2]) not in merges:
                merges.append(tuple(pieces[:2]))
            pieces[:2] = ["".join(pieces[:2])]
            if pieces[0] not in vocabulary:
                vocabulary.append(pieces[0])
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={token: n for n, token in enumerate(vocabulary)}, merges=merges)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(str(directory))
    return Tokenizer.from_directory(directory)


def write_tiny_models(directory: Path) -> tuple[Path, Path]:
    """Writes `sd/` and `clip/` into `directory` and returns their paths."""
    tokenizer = make_tokenizer(directory / "tokenizer")
    special = {"bos": tokenizer.bos, "eos": tokenizer.eos, "pad": tokenizer.pad}
    text = TextConfig(
        vocab_size=tokenizer.vocab_size,
        width=WIDTH,
        layers=2,
        heads=2,
        mlp_width=2 * WIDTH,
        positions=77,
        activation="quick_gelu",
        projection=WIDTH,
        pool="argmax",
        **special,
    )
    vision = ViTConfig(
        image_size=IMAGE,
        patch_size=8,
        width=WIDTH,
        layers=1,
        heads=2,
        mlp_width=2 * WIDTH,
        activation="quick_gelu",
        projection=WIDTH,
    )
    inputs = jnp.zeros((1, 3, WIDTH)), jnp.zeros(1, int)
    text_params = random_params(TextTower(text), *inputs, seed=0)
    pixels = jnp.zeros((1, IMAGE, IMAGE, 3))
    clip = CLIP(
        CLIPConfig(text, vision),
        {
            "text": text_params,
            "vision": random_params(ViT(vision), pixels, seed=1),
            "logit_scale": np.float32(np.log(100)),
        },
        tokenizer,
        Preprocess(IMAGE),
        fingerprint="",
    )
    save_clip(clip, directory / "clip")

    unet = UNet(
        UNetConfig(
            sample_size=LATENT,
            in_channels=4,
            out_channels=4,
            block_out_channels=(8, 8),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=2,
            norm_num_groups=4,
        )
    )
    vae = AutoencoderKL(
        VAEConfig(block_out_channels=(8, 8, 8), layers_per_block=1, norm_num_groups=4)
    )
    latents = jnp.zeros((1, LATENT, LATENT, 4))
    states = jnp.zeros((1, 77, WIDTH))
    own_text = {name: value for name, value in text_params.items() if name != "projection"}
    sd = StableDiffusion(
        Modules(
            unet,
            vae,
            TextTower(TextConfig(**{**vars(text), "projection": None})),
            NoiseSchedule(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        ),
        tokenizer,
        {
            "unet": random_params(unet, latents, jnp.zeros(1), states, seed=2),
            "vae": random_params(vae, pixels, seed=3),
            "text": own_text,
        },
        fingerprint="",
    )
    save_stable_diffusion(sd, directory / "sd")
    return directory / "sd", directory / "clip"
