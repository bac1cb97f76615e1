"""The answers that people gave: those to choose from, and the usual one to each question."""

from collections import Counter
from collections.abc import Sequence

from aape_jax.datasets.question_set import QuestionSet


def vocabulary(answers: Sequence[Sequence[str]], size: int) -> tuple[str, ...]:
    """Return the `size` most frequent answers, or all of them for 0; the most frequent first."""
    counts = Counter(answer for row in answers for answer in row)
    ranked = sorted(counts, key=lambda answer: (-counts[answer], answer))
    return tuple(ranked[: size or None])


def usual_answers(source: QuestionSet) -> dict[str, str]:
    """Return the most frequent answer to each question, whatever the image."""
    counts: dict[str, Counter[str]] = {}
    for text, answers in zip(source.texts, source.answers, strict=True):
        counts.setdefault(text, Counter()).update(answers)
    return {text: count.most_common(1)[0][0] for text, count in counts.items()}
