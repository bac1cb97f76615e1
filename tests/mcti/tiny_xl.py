"""A Stable Diffusion XL and the CLIPs of its text encoders, small enough to train in seconds."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.tiny_hub import random_clip, write_tokenizer
from common.clip import CLIP, Tokenizer, save_clip
from common.diffusion import (
    NoiseSchedule,
    StableDiffusion,
    UNetConfig,
    VAEConfig,
    save_stable_diffusion,
)
from common.diffusion.architecture import XLArchitecture
from common.diffusion.assembly import abstract_unet, abstract_vae, make_model, make_modules
from common.diffusion.text_encoder import FIRST, SECOND
from common.diffusion.xl_file import XL_SCHEDULER
from tests.diffusion.conftest import draw
from tests.mcti.tiny import random_params
from tests.mcti.tiny_models import WORDS

WIDTHS, IMAGE, LATENT, SCALE = (16, 24), 16, 4, 0.13025
UNET = UNetConfig(
    sample_size=LATENT,
    block_out_channels=(8,),
    layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D",),
    up_block_types=("CrossAttnUpBlock2D",),
    cross_attention_dim=sum(WIDTHS),
    attention_head_dim=2,
    norm_num_groups=4,
    use_linear_projection=True,
    transformer_layers_per_block=1,
    addition_embed_type="text_time",
    addition_time_embed_dim=4,
    projection_class_embeddings_input_dim=WIDTHS[1] + 6 * 4,
)
VAE = VAEConfig(
    block_out_channels=(8, 8, 8),
    layers_per_block=1,
    norm_num_groups=4,
    scaling_factor=SCALE,
    force_upcast=True,
)


@dataclass(frozen=True)
class TinyXL:
    """The model, and the CLIP of each text encoder with the same weights."""

    sd: StableDiffusion
    clips: tuple[CLIP, CLIP]

    def save(self, directory: Path) -> None:
        """Writes `sd/`, `clip_l/` and `clip_g/`."""
        save_stable_diffusion(self.sd, directory / "sd")
        for name, clip in zip(("clip_l", "clip_g"), self.clips, strict=True):
            save_clip(clip, directory / name)


def tiny_xl(directory: Path) -> TinyXL:
    """Makes the models; their tokenizer is written into `directory`."""
    tokenizer = write_tokenizer(directory / "words", WORDS)
    clips = tuple(
        random_clip(tokenizer, width, IMAGE, layers=2, make=random_params) for width in WIDTHS
    )
    first, second = (clip.config.text for clip in clips)
    sizes = XLArchitecture(
        UNET,
        VAE,
        replace(first, projection=None),
        NoiseSchedule.from_dict(XL_SCHEDULER),
        replace(second, pad=0),
    )
    modules = make_modules(sizes, "float32")
    texts = [dict(clip.params["text"]) for clip in clips]
    texts[0].pop("projection")
    params = {
        "unet": draw(abstract_unet(modules.unet)),
        "vae": draw(abstract_vae(modules.vae), 1),
        "text": texts[0],
        "text_2": texts[1],
    }
    tokenizers = {
        FIRST: tokenizer,
        SECOND: Tokenizer.from_directory(directory / "words", pad=0),
    }
    return TinyXL(make_model(sizes, modules, tokenizers, params, "tiny XL"), clips)


def random_pixels(count: int, seed: int = 0) -> np.ndarray:
    """Pictures of photos and, behind them, of their mirrors, in [-1, 1]."""
    pixels = np.random.default_rng(seed).uniform(-1, 1, (count, IMAGE, IMAGE, 3))
    return np.concatenate([pixels, pixels[:, :, ::-1]]).astype(np.float32)
