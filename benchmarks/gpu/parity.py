"""Parity on the device: our networks and PyTorch's, in float32 with exact products."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import torch

from benchmarks.clip_parity import MODELS, Transformers, compare_image, compare_text, text
from benchmarks.gpu.setting import Row, Setting, torch_peak
from benchmarks.mcti_problem import make_problem
from benchmarks.mcti_sizes import SIZES
from benchmarks.mcti_step import build, check, set_exact
from benchmarks.sd_parity import networks, run_ours, run_theirs
from common.clip import CLIPConfig, TextConfig, ViTConfig
from common.diffusion import UNetConfig, VAEConfig
from common.diffusion.known import KNOWN

SD15 = KNOWN["stable-diffusion-v1-5/stable-diffusion-v1-5"]
LATENTS = 32  # their side: half of the model's, for time
TINY_VIT = ViTConfig(16, 8, 16, 1, 2, 32, 8)
TINY_TEXT = TextConfig(100, 16, 1, 2, 32, bos=98, eos=99, pad=99, projection=8)
TINY_CLIP = CLIPConfig(TINY_TEXT, TINY_VIT)


def clip_towers(setting: Setting) -> Iterator[Row]:
    """Compare CLIP's towers, and the text tower of Stable Diffusion 1.5."""
    set_exact(True)
    vit = TINY_CLIP if setting.tiny else MODELS["ViT-B/16"]
    # The tower is that of ViT-L/14; its own image tower plays no part here.
    sd = (
        TINY_CLIP if setting.tiny else CLIPConfig(text(768, 768), replace(TINY_VIT, projection=768))
    )
    cases = (
        ("CLIP ViT-B/16, text", vit, compare_text),
        ("CLIP ViT-B/16, image", vit, compare_image),
        ("Stable Diffusion 1.5, text", sd, compare_text),
    )
    for name, config, compare in cases:
        torch.manual_seed(0)
        errors = dict(compare(config, Transformers(config, setting.device)))
        gradient = errors.pop("gradient")
        yield {"network": name, "outputs": max(errors.values()), "gradient": gradient}


def diffusion(setting: Setting) -> Iterator[Row]:
    """Compare Stable Diffusion 1.5's autoencoder and U-Net."""
    set_exact(True)
    sizes, side = SD15, LATENTS
    if setting.tiny:
        tiny, side = SIZES["tiny"], 4
        unet, vae = UNetConfig.from_dict(tiny.unet), VAEConfig.from_dict(tiny.vae)
        sizes = replace(SD15, unet=unet, vae=vae)
    for network, blocks in networks(sizes, side):
        wanted, params = run_theirs(network, blocks, setting.device, gradient=True)
        gc.collect()
        torch_peak(setting.device)  # gives the memory back
        params = jax.device_put(params)
        for block, desired in zip(blocks, wanted, strict=True):
            actual = run_ours(network, block, params, gradient=True)
            yield {
                "network": f"Stable Diffusion 1.5, {block.name}",
                "outputs": actual.error(desired),
                "gradient": actual.gradient_error(desired),
            }


def update(setting: Setting) -> Iterator[Row]:
    """Compare losses and gradients of the four programs that make MC-TI's update."""
    set_exact(True)
    size = "tiny" if setting.tiny else "pocket"
    problem = make_problem(size, classes=4)
    steps = build(problem, setting.device, jnp.dtype("float32"))
    yield {"programs": f"MC-TI's update, {size}", "largest error": check(steps, problem.classes)}
