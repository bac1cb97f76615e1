"""VQA accuracy: an answer counts by how many of the people who were asked gave it.

The rules are those of the VQA data set's own script (arXiv 1505.00468; visualqa.org).
"""

import functools
import re
from collections.abc import Sequence

import numpy as np

from common.errors import UserError

ENOUGH = 3
"""So many people with the same answer make it fully right."""

YES_NO = ("yes", "no")

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_THOUSANDS = re.compile(r"\d,\d")
# As their script has it: every full stop but those in front of a digit.
_FULL_STOP = re.compile(r"\.(?!\d)")
_NUMBERS = {
    "none": "0",
    **{
        word: str(number)
        for number, word in enumerate(
            ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
        )
    },
}
_ARTICLES = frozenset(("a", "an", "the"))
# Theirs lists the dialect forms of "how's that", too. Forms with I are not here, for theirs are
# in capitals, which no lower-case word matches.
_SPELLINGS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't shan't she'd've should've shouldn't
shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's
something'd something'd've something'll that's there'd there'd've there're there's they'd
they'd've they'll they're they've wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll you'd you'd've you'll you're you've
"""


def _without_an_apostrophe(word: str) -> set[str]:
    """Return the word without all of its apostrophes, and without each of them alone."""
    single = {word[: at.start()] + word[at.end() :] for at in re.finditer("'", word)}
    return {word.replace("'", "")} | single


_CONTRACTIONS = {
    spelt: word
    for word in _SPELLINGS.split()
    for spelt in _without_an_apostrophe(word)
    if spelt != word
}


@functools.lru_cache(maxsize=1 << 20)  # The same answers are judged for every row of a result.
def normalise(answer: str) -> str:
    """Normalise an answer: lower case, digits for number words, no articles or punctuation."""
    answer = answer.replace("\n", " ").replace("\t", " ").strip()
    keeps = answer
    for mark in _PUNCTUATION:
        joined = f"{mark} " in keeps or f" {mark}" in keeps or _THOUSANDS.search(keeps)
        answer = answer.replace(mark, "" if joined else " ")
    answer = _FULL_STOP.sub("", answer)
    words = [_NUMBERS.get(word, word) for word in answer.lower().split()]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """Return the accuracy of an answer: min(others who gave it / 3, 1), leaving each person out.

    Answers are normalised only where people differ, as in the original. Where a single person was
    asked there is nobody to leave out: the normalised answers are the same or not.

    Args:
      answer: What is judged.
      people: What people answered, ten in VQA.

    Raises:
      UserError: Nobody answered.
    """
    if not people:
        raise UserError("a question has no answers to compare with: leave it out.")
    if len(people) == 1:
        return float(normalise(answer) == normalise(people[0]))
    answer, people = answer.strip(), [text.strip() for text in people]
    if len(set(people)) > 1:
        answer, people = normalise(answer), [normalise(text) for text in people]
    same = np.array([text == answer for text in people])
    others = same.sum() - same
    return float(np.minimum(others / ENOUGH, 1).mean())


def mean_accuracies(
    answers: Sequence[str], people: Sequence[Sequence[str]], kinds: Sequence[str] = ()
) -> dict[str, float]:
    """Return the mean over questions, and over those of each kind of answer.

    Args:
      answers: One for each question.
      people: What people answered to each.
      kinds: Of each question, as in VQA's files ("yes/no", "number", "other"). Where there are
        none: "yes/no" if all people said one of the two, and else "other".
    """
    kinds = kinds or [
        "yes/no" if all(answer in YES_NO for answer in texts) else "other" for texts in people
    ]
    scores = np.array([vqa_accuracy(*pair) for pair in zip(answers, people, strict=True)])
    means = {"accuracy": float(scores.mean())}
    for kind in sorted(set(kinds)):
        rows = [kind == x for x in kinds]
        means[f"accuracy_{kind.replace('/', '_')}"] = float(scores[rows].mean())
    return means


def cut(answer: str, words: int) -> str:
    """Return the first words of a generated answer, up to the end of its line."""
    return " ".join(answer.strip().split("\n")[0].split()[:words])
