"""The answers that people gave: those to choose from, and the usual one to each question."""

from collections import Counter
from collections.abc import Sequence

from aape_jax.datasets.question_set import QuestionSet
from common.files import read_record, write_json
from common.paths import AnyPath

FILE = "answers.json"
"""What a head chooses from, in the order of its logits; in the folder of its run."""


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


def write_answers(folder: AnyPath, answers: Sequence[str]) -> None:
    """Write what a head chooses from."""
    write_json(folder / FILE, {"answers": list(answers)})


def read_answers(folder: AnyPath) -> tuple[str, ...]:
    """Return what `write_answers` wrote; nothing of a run of before there was such a file.

    Raises:
      UserError: The file is damaged.
    """
    file = folder / FILE
    if not file.exists():
        return ()
    return read_record(file, "give the run as it was written").strings("answers")
