"""Looking at the aggregator: does it select prompts, or leave them for the image's side?"""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, UInt8
from PIL import Image

from aape_jax.core.aggregators import MIXES
from aape_jax.core.objective import Batch, Objective, watched
from aape_jax.core.pictures import text_picture
from common.spread import over_devices

DRIFTED = 0.8
"""Below this cosine of p_a and the mean prompt, p_a is no longer about the prompts."""

FITTED = 0.5
"""From this cosine of p_a and the image on, if it is the larger one, the reward was hacked."""

BEST, WORST = 4, 2

AT_ONCE = 2048
"""Photos whose prompts are gathered at a time, over all devices."""


def teacher_report(
    objective: Objective, params: PyTree, batch: Batch, key: jax.Array
) -> tuple[dict[str, float], Float[np.ndarray, "b n"] | None]:
    """Return the metrics of `watch` over a batch of any size, and its attention, mean over outputs.

    The attention is None where the aggregator has none.
    An aggregator that draws draws alike on each device and for each `AT_ONCE` photos.
    """
    # As numbers, which unlike keys can be sent to other hosts' devices.
    shared, rows = (params, batch, jax.random.key_data(key)), np.arange(len(batch.labels))
    metrics, attention = over_devices(_taught, shared, rows, at_once=AT_ONCE, objective=objective)
    means = {f"teacher/{name}": float(values.mean()) for name, values in metrics.items()}
    return means, attention


def _taught(
    shared: PyTree, rows: Int[Array, "b"], *, objective: Objective
) -> tuple[dict[str, Float[Array, "b m"]], Float[Array, "b n"] | None]:
    """Return of some rows of a batch what is watched, and the attention."""
    params, batch, key_data = shared
    images = replace(batch, x=batch.x[rows], labels=batch.labels[rows], rows=batch.rows[rows])
    inputs, teacher = objective.aggregate(
        params, images.prompted, jax.random.wrap_key_data(key_data)
    )
    attention = None if teacher.attention is None else teacher.attention.mean(axis=1)
    return watched(inputs, teacher), attention


def drifted(objective: Objective, metrics: dict[str, float], own: bool) -> str:
    """Return a line where h is taught by what has left the prompts, else nothing.

    Args:
      objective: Of the variant.
      metrics: Of `teacher_report`.
      own: Whether it is the run's own variant, whose aggregator the user chooses.
    """
    cosine, image = metrics["teacher/cos_pa_pbar"], metrics["teacher/cos_pa_x"]
    taught, free = objective.distillation.weight, not isinstance(objective.aggregator, MIXES)
    if not (taught and free and cosine < DRIFTED):
        return ""
    fits = image > max(cosine, FITTED)
    fit = f" and fits the image, with a cosine of {image:.2f}" if fits else ""
    remedy = " Consider aggregator.kind=anchored or aggregator.anchor_weight above 0."
    return (
        f"the aggregated prompts have a cosine of {cosine:.2f} with their mean, below {DRIFTED}: "
        f"the aggregator has left the prompts{fit}.{remedy if own else ''}"
    )


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
