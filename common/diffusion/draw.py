"""Prompts in, PIL images out: what is beneath `StableDiffusion.draw`."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from PIL import Image

from common.clip.prompts import require_texts
from common.diffusion.drawing import generate, to_uint8
from common.diffusion.model import StableDiffusion
from common.diffusion.samplers import check_sampling
from common.errors import UserError
from common.precision import product_precision
from common.seeds import SEEDS

GUIDANCE = 100
RANGES = {"n": (1, 1024), "steps": (1, 1000), "seed": SEEDS, "batch": (1, 4096)}


def draw(
    sd: StableDiffusion,
    prompts: Any,
    n: int,
    *,
    negative: str,
    tokens: Mapping[str, Any] | None,
    seed: int,
    steps: int,
    guidance: float,
    sampler: str,
    size: int | None,
    batch: int,
) -> list[Image.Image]:
    """See `StableDiffusion.draw`."""
    prompts = require_texts([prompts] if isinstance(prompts, str) else prompts, "prompt")
    (negative,) = require_texts([negative], "negative")
    if not prompts:
        raise UserError("prompt is an empty list: give one or more texts.")
    for name, value in {"n": n, "steps": steps, "seed": seed, "batch": batch}.items():
        check_whole(name, value, *RANGES[name])
    if not abs(guidance) <= GUIDANCE:
        raise UserError(f"guidance={guidance} is out of range: give a number up to {GUIDANCE}.")
    check_sampling(sd.schedule, sampler, steps)
    side = sd.require_size("size", size or sd.image_size)
    words = _vectors(tokens or {})
    with jax.default_matmul_precision(product_precision(jnp.dtype(sd.unet.dtype).name)):
        images = generate(
            sd.on_devices,
            [text for text in prompts for _ in range(n)],
            words,
            size=side,
            sampler=sampler,
            steps=steps,
            guidance=guidance,
            batch=batch,
            seed=seed,
            negative=negative,
        )
    return [Image.fromarray(image) for image in to_uint8(images)]


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Refuse what is not a whole number of a range.

    Raises:
      UserError: It names the value and the range.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (whole and low <= value <= high):
        raise UserError(
            f"{name}={value!r} is out of range: give a whole number from {low} to {high}."
        )


def _vectors(tokens: Mapping[str, Any]) -> dict[str, Float[np.ndarray, "n d"]]:
    found = {}
    for word, vectors in tokens.items():
        rows = np.atleast_2d(np.asarray(vectors, np.float32))
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise UserError(
                f"tokens[{word!r}] has the shape {np.shape(vectors)}: give finite vectors [n, d]."
            )
        found[word] = rows
    return found
