"""Questions to a language model about classes, and what its answers become.

Two styles: `sentences`, as CuPL asks (arXiv 2209.03320), for prompts to learn from; `descriptors`,
as DCLIP does (arXiv 2210.07183), short features of a class, one on a line.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import UserError
from common.names import readable
from common.text import counted, some, with_article
from common.weights.fingerprint import text_digest

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "sentences": (
        "Describe what {it} looks like, in one or two sentences.",
        "How can you identify {it} in a photo? Answer in one or two sentences.",
        "What does {it} look like? Answer in one or two sentences.",
        "Describe an image from the internet of {it}, in one or two sentences.",
        "Write a caption of an image of {it}.",
    ),
    "descriptors": (
        "What are useful visual features for distinguishing {it} in a photo? "
        "Answer with short phrases, one on a line.",
    ),
}
"""By style; {it} is the class with its article, and its kind if that is told."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
# Bullets and numbers in front of an item, and the asterisks of Markdown.
_MARKS = re.compile(r"^\s*(?:[-*\u2022\u2013]|\d+[.)])\s+|\*\*|__|`")
_SHORTEST = 3
"""Words of a sentence."""


@dataclass(frozen=True)
class Question:
    """One question about one class.

    Attributes:
      custom_id: Told apart by this in files of answers, as in batches of chat services. It is made
        of the class and the text, so that no answer is taken for that of another class where a
        data set has changed since.
      classname: As the data set spells it.
      text: What to ask.
    """

    custom_id: str
    classname: str
    text: str


def questions_about(
    classnames: Sequence[str], style: str, kind: str = "", repeats: int = 1
) -> list[Question]:
    """Return the questions of a style about every class.

    Args:
      classnames: As the data set spells them.
      style: A key of `QUESTIONS`.
      kind: What all classes are, e.g. "a type of flower".
      repeats: How often each is asked; answers differ.
    """
    return [
        Question(f"{style}-{text_digest(f'{name} {text}')}-{repeat}", name, text)
        for name in dict.fromkeys(classnames)
        for text in [form.format(it=_phrase(name, kind)) for form in QUESTIONS[style]]
        for repeat in range(repeats)
    ]


def _phrase(classname: str, kind: str) -> str:
    noun = with_article(readable(classname))
    return f"{noun}, {kind}," if kind else noun


def answer_of(record: Mapping[str, Any]) -> str | None:
    """Return the answer in a line of a file; None where it holds none.

    It is under `answer`, or where the batches of OpenAI and Anthropic have it.
    """
    match record:
        case {"answer": str(text)}:
            return text
        case {"response": {"body": {"choices": [{"message": {"content": str(text)}}, *_]}}}:
            return text
        case {"result": {"message": {"content": [{"text": str(text)}, *_]}}}:
            return text
    return None


def merged_answers(
    questions: Iterable[Question], answers: Mapping[str, str], style: str
) -> dict[str, list[str]]:
    """Return the sentences or descriptors of each class, without repetitions.

    Raises:
      UserError: A class has none.
    """
    texts: dict[str, list[str]] = {}
    for question in questions:
        pieces = texts.setdefault(question.classname, [])
        pieces += pieces_of(answers.get(question.custom_id, ""), style)
    bare = [name for name, pieces in texts.items() if not pieces]
    if bare:
        raise UserError(
            f"{counted(len(bare), 'class has', 'classes have')} no answer, {some(bare)}: answer "
            "the questions that --out=FILE.jsonl writes for them."
        )
    return {name: list(dict.fromkeys(pieces)) for name, pieces in texts.items()}


def pieces_of(answer: str, style: str) -> list[str]:
    """Return the sentences of an answer, or its lines where descriptors were asked for."""
    if style == "descriptors":
        lines = [_MARKS.sub("", line).strip().rstrip(".") for line in answer.splitlines()]
        return [line for line in lines if line and not line.endswith(":")]
    pieces = [_MARKS.sub("", piece).strip() for piece in _SENTENCE_END.split(answer)]
    return [x for x in pieces if len(x.split()) >= _SHORTEST and not x.endswith(":")]
