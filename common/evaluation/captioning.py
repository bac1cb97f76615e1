"""How well captions fit reference captions: CIDEr-D, BLEU-4 and ROUGE-L over word lists.

`tokenise` stands in for the Java tokenizer of the COCO scripts, from whose scores those here can
differ slightly; on the same tokens they are the same.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from common.errors import UserError

LONGEST = 4
"""The longest n-grams that are counted."""

CIDER_SIGMA = 6.0
ROUGE_BETA = 1.2

Words = Sequence[str]
References = Sequence[Sequence[Words]]
"""Of each picture its reference captions."""

_TOKEN = re.compile(r"\w+(?:[-.']\w+)*")
_CONTRACTION = re.compile(r"(.+)(n't|'(?:s|re|ve|ll|d|m))$")


def tokenise(text: str) -> tuple[str, ...]:
    """Return lower-case words; punctuation is dropped, "isn't" becomes "is" and "n't"."""
    words: list[str] = []
    for word in _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        parts = _CONTRACTION.fullmatch(word)
        words += parts.groups() if parts else [word]
    return tuple(words)


def caption_scores(
    captions: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return `cider_d`, `bleu_4` and `rouge_l` of captions as text.

    Raises:
      UserError: A picture has no references, or there are not as many of one as of the other.
    """
    candidates = [tokenise(caption) for caption in captions]
    wanted = [[tokenise(text) for text in texts] for texts in references]
    return {
        "cider_d": float(cider_d(candidates, wanted).mean()),
        "bleu_4": bleu_4(candidates, wanted),
        "rouge_l": float(rouge_l(candidates, wanted).mean()),
    }


def cider_d(captions: Sequence[Words], references: References) -> Float[np.ndarray, "b"]:
    """Return the CIDEr-D of each caption (arXiv 1411.5726), ten times the mean over n = 1 to 4.

    An n-gram's weight is its count times log(pictures / pictures whose references have it). The
    pictures are those that are given, so a single picture scores 0.

    Raises:
      UserError: As `caption_scores`.
    """
    _check(captions, references)
    seen = Counter(
        gram for group in references for gram in set().union(*(_grams(words) for words in group))
    )
    rarity = {gram: math.log(len(references)) - math.log(count) for gram, count in seen.items()}
    scores = []
    for words, group in zip(captions, references, strict=True):
        compared = [_cider_pair(words, reference, rarity, len(references)) for reference in group]
        scores.append(10 * np.mean(compared))
    return np.array(scores)


def bleu_4(captions: Sequence[Words], references: References) -> float:
    """Return the BLEU-4 of the whole set, against references of nearest length; 0 without a match.

    Raises:
      UserError: As `caption_scores`.
    """
    _check(captions, references)
    right, tried = np.zeros(LONGEST), np.zeros(LONGEST)
    length = wanted = 0
    for words, group in zip(captions, references, strict=True):
        grams, most = _grams(words), Counter()
        for reference in group:
            most |= _grams(reference)
        for gram, count in grams.items():
            tried[len(gram) - 1] += count
            right[len(gram) - 1] += min(count, most[gram])
        length += len(words)
        wanted += min((abs(n - len(words)), n) for n in map(len, group))[1]
    if not right.all():
        return 0.0
    brevity = min(0.0, 1 - wanted / length)
    return float(np.exp(np.log(right / tried).mean() + brevity))


def rouge_l(captions: Sequence[Words], references: References) -> Float[np.ndarray, "b"]:
    """Return the ROUGE-L of each caption: precision and recall are the best over its references.

    Raises:
      UserError: As `caption_scores`.
    """
    _check(captions, references)
    scores = []
    for words, group in zip(captions, references, strict=True):
        common = [_longest_common(words, reference) for reference in group]
        precision = max(common) / max(1, len(words))
        recall = max(n / max(1, len(reference)) for n, reference in zip(common, group, strict=True))
        weighted = recall + ROUGE_BETA**2 * precision
        scores.append((1 + ROUGE_BETA**2) * precision * recall / weighted if weighted else 0.0)
    return np.array(scores)


def _check(captions: Sequence[Words], references: References) -> None:
    if len(captions) != len(references) or not len(captions):
        raise UserError(
            f"{len(captions)} captions cannot be compared with references of {len(references)} "
            "pictures: give one caption for each picture."
        )
    for number, group in enumerate(references):
        if not len(group):
            raise UserError(f"picture number {number} has no reference caption: add one.")


def _grams(words: Words) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, LONGEST + 1)
        for start in range(len(words) - n + 1)
    )


def _cider_pair(
    words: Words, reference: Words, rarity: Mapping[tuple[str, ...], float], pictures: int
) -> float:
    """Return the mean over n of the clipped cosines, with the penalty for another length."""
    unseen = math.log(pictures)
    first, second = (
        {gram: count * rarity.get(gram, unseen) for gram, count in _grams(sequence).items()}
        for sequence in (words, reference)
    )
    dot, norms = np.zeros(LONGEST), np.zeros((2, LONGEST))
    for gram, weight in first.items():
        dot[len(gram) - 1] += min(weight, second.get(gram, 0.0)) * second.get(gram, 0.0)
    for total, weights in zip(norms, (first, second), strict=True):
        for gram, weight in weights.items():
            total[len(gram) - 1] += weight**2
    product = np.sqrt(norms.prod(axis=0))
    cosines = np.divide(dot, product, out=np.zeros(LONGEST), where=product > 0)
    # The scripts take the number of 2-grams for the length, which differs by one from it.
    longer = max(0, len(words) - 1) - max(0, len(reference) - 1)
    return float(cosines.mean() * math.exp(-(longer**2) / (2 * CIDER_SIGMA**2)))


def _longest_common(first: Words, second: Words) -> int:
    """Return the length of the longest common subsequence of words."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = row
        row = [0]
        for column, other in enumerate(second, start=1):
            matched = before[column - 1] + 1
            row.append(matched if word == other else max(before[column], row[-1]))
    return row[-1]
