"""Looking at the aggregator: does it select prompts, or leave them for the image's side?"""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float, PyTree, UInt8
from PIL import Image

from aape_jax.core.objective import Batch, Objective, watch
from aape_jax.core.pictures import text_picture
from common.training import say

DRIFTED = 0.8
"""Below this cosine of p_a and the mean prompt, the reward was hacked rather than served."""

BEST, WORST = 4, 2


def teacher_report(
    objective: Objective, params: PyTree, batch: Batch, key: jax.Array
) -> tuple[dict[str, float], Float[np.ndarray, "b n"]]:
    """Return the metrics of `watch` over a batch, and its attention, mean over outputs."""

    @jax.jit
    def run(params: PyTree, batch: Batch, key: jax.Array):
        inputs, teacher = objective.aggregate(params, batch.prompted, key)
        return watch(inputs, teacher), teacher.attention.mean(axis=1)

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
        _ranked(row, weights[: len(row)]) for row, weights in zip(sentences, attention, strict=True)
    ]
    return text_picture(photos, ranked)


def _ranked(sentences: Sequence[str], weights: np.ndarray) -> list[str]:
    order = np.argsort(-weights, kind="stable")
    listed = order if len(order) <= BEST + WORST else [*order[:BEST], None, *order[-WORST:]]
    return [
        "..." if index is None else f"{100 * weights[index]:5.1f} %  {sentences[index]}"
        for index in listed
    ]
