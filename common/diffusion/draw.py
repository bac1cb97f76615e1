"""From prompts to PIL images, for `StableDiffusion.draw`."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from common.checks import Range, check_number, check_whole
from common.clip.prompts import require_texts
from common.diffusion.drawing import generate
from common.diffusion.learned import checked_vectors
from common.diffusion.parts import DiffusionModel
from common.diffusion.samplers import check_sampling
from common.diffusion.weighted import weighted_spans
from common.diffusion.words import tell_unread
from common.encoding import require_values
from common.errors import UserError
from common.precision import computing
from common.seeds import SEEDS

COUNTS = {"n": Range(1, 1024), "steps": Range(1, 1000), "seed": SEEDS, "batch": Range(1, 4096)}
GUIDANCE = Range(0, 100)
SIDES = Range(1, 4096)


def draw(
    sd: DiffusionModel,
    prompts: Any,
    n: int,
    *,
    negative: str,
    tokens: Mapping[str, Any] | None,
    seed: int,
    steps: int,
    guidance: float,
    sampler: str | None,
    size: int | None,
    width: int | None,
    height: int | None,
    weighted: bool,
    batch: int,
) -> list[Image.Image]:
    """See `StableDiffusion.draw`."""
    require_values("draw", "common.diffusion.text_to_image")
    if "unet" not in sd.params:
        raise UserError("networks=False loads nothing that draws: load the model without it.")
    prompts = require_texts([prompts] if isinstance(prompts, str) else prompts, "prompt")
    (negative,) = require_texts([negative], "negative")
    if not prompts:
        raise UserError("prompt is an empty list: give one or more texts.")
    for name, value in {"n": n, "steps": steps, "seed": seed, "batch": batch}.items():
        check_whole(name, value, COUNTS[name])
    check_number("guidance", guidance, GUIDANCE)
    sampler = sd.default_sampler if sampler is None else sampler
    check_sampling(sd.schedule, sampler, steps)
    shape = _side(sd, "width", width, size), _side(sd, "height", height, size)
    words = checked_vectors(tokens)
    for text in (*prompts, negative) if weighted else ():
        weighted_spans(text)  # What it refuses is known before time is spent.
    tell_unread(prompts, negative, words, guidance)
    with computing(sd.unet.dtype):
        images = generate(
            sd.on_devices,
            [text for text in prompts for _ in range(n)],
            words,
            size=shape,
            sampler=sampler,
            steps=steps,
            guidance=guidance,
            batch=batch,
            seed=seed,
            negative=negative,
            weighted=weighted,
        )
    return [Image.fromarray(image) for image in images]


def _side(sd: DiffusionModel, name: str, side: int | None, size: int | None) -> int:
    """Return a side in pixels: `side`, or else `size`, or else the model's own."""
    if side is None:
        name, side = "size", sd.image_size if size is None else size
    check_whole(name, side, SIDES)
    return sd.require_size(name, int(side))
