r"""Prompts as the web UIs read them: `(word:1.3)`, `(word)`, `[word]`, `\(` and BREAK.

The rules are those of AUTOMATIC1111's web UI, which others follow.
"""

import re
from dataclasses import dataclass

from common.checks import Range
from common.errors import UserError
from common.text import quoted

WEIGHTS = Range(-100, 100)
_FACTORS = {"(": 1.1, "[": 1 / 1.1}
"""What brackets without a number multiply weights with."""
_OPENING = {")": "(", "]": "["}
_PIECES = re.compile(
    r"\\(?P<literal>[()\[\]\\]?)"  # a bracket as text; a backslash before anything else is dropped
    r"|:\s*(?P<weight>[+-]?[.\d]+)\s*\)"
    r"|[()\[\]]"
    r"|[^\\()\[\]:]+"
    r"|:"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
# `[a:b:0.5]` and `[a|b]`, which would change a prompt between steps.
_EDITED = re.compile(r"(?<!\\)\[[^\[\]]*(?:\|[^\[\]]*|:\s*[.\d]+\s*)\]")
_WEIGHTED = re.compile(r":\s*[+-]?[.\d]+\s*\)|\(\(|\[\[|\\[()\[\]]|\bBREAK\b")


@dataclass(frozen=True)
class Span:
    """A stretch of a prompt of one weight."""

    text: str
    weight: float


def weighted_spans(prompt: str) -> list[list[Span]]:
    """Return the spans of a prompt, in a list for each part between BREAKs.

    Brackets nest, and their factors multiply. One that is not closed reaches to the end, and one
    that was not opened is text, as are brackets behind a backslash.

    Raises:
      UserError: A weight is not a number or out of range, or the prompt changes between steps,
        which is not supported.
    """
    if edited := _EDITED.search(prompt):
        raise UserError(
            f"{quoted(edited[0])} would change the prompt between steps, which is not supported: "
            r"write one text, or \[ for a bracket that is text."
        )
    pieces = _Pieces()
    for match in _PIECES.finditer(prompt):
        piece, opening = match[0], _OPENING.get(match[0])
        if match["literal"] is not None:
            pieces.add(match["literal"])
        elif piece in _FACTORS:
            pieces.open(piece)
        elif match["weight"] and pieces.is_open("("):
            pieces.close("(", _number(match["weight"], prompt))
        elif opening and pieces.is_open(opening):
            pieces.close(opening, _FACTORS[opening])
        else:
            pieces.add_text(piece)
    for bracket, factor in _FACTORS.items():
        while pieces.is_open(bracket):
            pieces.close(bracket, factor)
    parts = pieces.parts()
    for span in (span for part in parts for span in part):
        if not WEIGHTS.holds(span.weight):
            raise UserError(
                f"the weight of {quoted(span.text)} is {span.weight:g}: give {WEIGHTS}."
            )
    return parts


class _Pieces:
    """Texts with their weights while a prompt is read; None stands for a BREAK."""

    def __init__(self) -> None:
        self._texts: list[str | None] = []
        self._weights: list[float] = []
        self._starts: dict[str, list[int]] = {bracket: [] for bracket in _FACTORS}

    def add(self, text: str | None) -> None:
        self._texts.append(text)
        self._weights.append(1.0)

    def add_text(self, text: str) -> None:
        first, *others = _BREAK.split(text)
        self.add(first)
        for other in others:
            self.add(None)
            self.add(other)

    def open(self, bracket: str) -> None:
        self._starts[bracket].append(len(self._texts))

    def is_open(self, bracket: str) -> bool:
        return bool(self._starts[bracket])

    def close(self, bracket: str, factor: float) -> None:
        start = self._starts[bracket].pop()
        self._weights[start:] = [weight * factor for weight in self._weights[start:]]

    def parts(self) -> list[list[Span]]:
        """Return the spans between BREAKs; neighbours of one weight are one text."""
        parts: list[list[Span]] = [[]]
        for text, weight in zip(self._texts, self._weights, strict=True):
            spans = parts[-1]
            if text is None:
                parts.append([])
            elif spans and spans[-1].weight == weight:
                spans[-1] = Span(spans[-1].text + text, weight)
            else:
                spans.append(Span(text, weight))
        return parts


def looks_weighted(prompt: str) -> bool:
    """Return whether a prompt seems to be meant for `weighted_spans`."""
    return bool(_WEIGHTED.search(prompt))


def as_weighted(prompt: str) -> str:
    """Return a plain prompt as the web UIs write it, with its brackets as text."""
    return re.sub(r"[()\[\]\\]", lambda match: "\\" + match[0], prompt)


def _number(text: str, prompt: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(
            f"{quoted(text)} in the prompt {quoted(prompt)} is not a number: write a weight such "
            "as (word:1.3)."
        ) from None
