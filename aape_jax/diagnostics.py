"""Looking at the aggregator: does it select prompts, or leave them for the image's side?"""

import textwrap
from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, PyTree, UInt8
from PIL import Image, ImageDraw

from aape_jax.objective import Batch, Objective, watch
from common.training import say

DRIFTED = 0.8
"""Below this cosine of p_a and the mean prompt, the reward was hacked rather than served."""

TILE, LINE, WIDTH = 128, 15, 620
BEST, WORST = 4, 2


def teacher_report(
    objective: Objective, params: PyTree, batch: Batch, key: jax.Array
) -> tuple[dict[str, float], Float[np.ndarray, "b n"]]:
    """Return the metrics of `watch` over a batch, and its attention, mean over outputs."""

    @jax.jit
    def run(params: PyTree, batch: Batch, key: jax.Array):
        given, teacher = objective.aggregate(params, batch, key)
        return watch(given, teacher), teacher.attention.mean(axis=1)

    metrics, attention = jax.device_get(run(params, batch, key))
    return {f"teacher/{name}": float(value) for name, value in metrics.items()}, attention


def warn_if_drifted(name: str, metrics: dict[str, float]) -> bool:
    """Say so when the aggregated prompt has left the prompts."""
    cosine = metrics["teacher/cos_pa_pbar"]
    if cosine < DRIFTED:
        say(
            f"{name}: the aggregated prompts have a cosine of {cosine:.2f} with their mean, below "
            f"{DRIFTED}: the aggregator fits the image instead of selecting prompts. Consider "
            "aggregator.kind=anchored or aggregator.anchor_weight above 0."
        )
    return cosine < DRIFTED


def attention_picture(
    photos: Sequence[Image.Image],
    sentences: Sequence[Sequence[str]],
    attention: Float[np.ndarray, "b n"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw photos, each beside its most and least attended prompts."""
    ranked = [
        _ranked(own, weights[: len(own)]) for own, weights in zip(sentences, attention, strict=True)
    ]
    return text_picture(photos, ranked)


def text_picture(
    photos: Sequence[Image.Image], texts: Sequence[Sequence[str]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Draw photos, each beside its lines of text."""
    rows = [_row(photo, lines) for photo, lines in zip(photos, texts, strict=True)]
    canvas = Image.new("RGB", (WIDTH, sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        canvas.paste(row, (0, top))
        top += row.height
    return np.asarray(canvas)


def _ranked(sentences: Sequence[str], weights: np.ndarray) -> list[str]:
    order = np.argsort(-weights, kind="stable")
    shown = order if len(order) <= BEST + WORST else [*order[:BEST], None, *order[-WORST:]]
    return [
        "..." if index is None else f"{100 * weights[index]:5.1f} %  {sentences[index]}"
        for index in shown
    ]


def _row(photo: Image.Image, texts: Sequence[str]) -> Image.Image:
    lines: list[str] = []
    for text in texts:
        lines += textwrap.wrap(text, 72, subsequent_indent=" " * 9) or [""]
    height = max(TILE, LINE * len(lines)) + 16
    row = Image.new("RGB", (WIDTH, height), "white")
    # Pocket pictures are small; photos are not.
    small = max(photo.size) < TILE
    how = Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC
    row.paste(photo.resize((TILE, TILE), how), (8, 8))
    draw = ImageDraw.Draw(row)
    for number, line in enumerate(lines):
        draw.text((TILE + 24, 8 + LINE * number), line, fill="black")
    return row
