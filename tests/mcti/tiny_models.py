"""A Stable Diffusion and its CLIP with random weights, small enough to train in seconds."""

from pathlib import Path

from benchmarks.tiny_hub import random_clip, random_stable_diffusion, write_tokenizer
from common.clip import save_clip
from common.diffusion import NoiseSchedule, UNetConfig, VAEConfig, save_stable_diffusion
from tests.mcti.tiny import random_params

# What the 27 templates and the tests' prompts are made of.
WORDS = (
    *("a", "the", "my", "one", "photo", "of", "clean", "cool", "nice", "small", "dirty", "weird"),
    *("large", "rendering", "rendition", "cropped", "good", "close", "-", "up", "dark", "bright"),
    *("thing", "on", "sand", "cat", "dog", "fox"),
)
WIDTH, IMAGE, LATENT = 16, 16, 4
VAE = VAEConfig(block_out_channels=(8, 8, 8), layers_per_block=1, norm_num_groups=4)
# One level: everything that a text reaches, and nothing else to compile.
UNET = UNetConfig(
    sample_size=LATENT,
    block_out_channels=(8,),
    layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D",),
    up_block_types=("CrossAttnUpBlock2D",),
    cross_attention_dim=WIDTH,
    attention_head_dim=2,
    norm_num_groups=4,
)
SCHEDULE = NoiseSchedule(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def write_tiny_models(directory: Path) -> tuple[Path, Path]:
    """Writes `sd/` and `clip/` into `directory` and returns their paths."""
    tokenizer = write_tokenizer(directory / "tokenizer", WORDS)
    clip = random_clip(tokenizer, WIDTH, IMAGE, layers=2, make=random_params)
    sd = random_stable_diffusion(clip, UNET, VAE, SCHEDULE, random_params)
    save_clip(clip, directory / "clip")
    save_stable_diffusion(sd, directory / "sd")
    return directory / "sd", directory / "clip"
