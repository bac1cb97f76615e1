"""What trained heads answer to test questions, on all devices."""

from collections.abc import Sequence

from jaxtyping import Array, Int, PyTree

from aape_jax.vqa.features import QuestionFeatures
from aape_jax.vqa.head import VQAHead
from common.spread import over_devices

AT_ONCE = 8192
"""Rows of an evaluation, over all devices."""


def chosen_answers(
    head: VQAHead, params: PyTree, test: QuestionFeatures, answers: Sequence[str]
) -> list[str]:
    """Return the answer that a head gives to each question, of those to choose from."""
    options = {"head": head, "at_once": AT_ONCE}
    features = over_devices(_look, params, test.seen, **options)
    shared = params, features, test.questions
    chosen = over_devices(_choose, shared, (test.source.image, test.text), **options)
    return [answers[number] for number in chosen]


def _look(params: PyTree, seen: Array, head: VQAHead) -> dict[str, Array]:
    return head.look(params, seen)


def _choose(shared: PyTree, rows: PyTree, head: VQAHead) -> Int[Array, "q"]:
    """Return the numbers of the answers to questions, given as images and texts."""
    (params, features, questions), (image, text) = shared, rows
    inputs = {name: x[image] for name, x in features.items()}
    return head.answer(params, inputs, questions[text]).argmax(axis=-1)
