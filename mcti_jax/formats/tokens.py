"""A learned token, and the word that a prompt calls it by."""

import itertools
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from common.errors import UserError

# Letters of a word; keeps its file's name under 255 bytes, whatever the alphabet.
_LONGEST_WORD = 60


@dataclass(frozen=True, eq=False)
class LearnedToken:
    """The vectors that stand for one class in a text tower's input.

    Attributes:
      token: The word to type in a prompt, such as `<dog2>`.
      vectors: Input embeddings `[n, d]`; more than one stand side by side in the prompt.
      metadata: Where the vectors come from, all text: `class`, `base_model`, `fingerprint`,
        `pool`, `templates`, `step`, `gamma`, `logit_scale`; files keep what there is.

    Raises:
      UserError: The word could not be typed, or the vectors hold NaN or infinity.
    """

    token: str
    vectors: Float32[np.ndarray, "n d"]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if self.token.split() != [self.token]:
            raise UserError(f"the token {self.token!r} must be one word without spaces.")
        if not self.vectors.size:
            raise UserError(f"the token {self.token!r} has no vectors.")
        if not np.isfinite(self.vectors).all():
            raise UserError(
                f"the vectors of {self.token!r} hold NaN or infinity: its training diverged; "
                "train it again with a smaller learning rate."
            )


def token_word(classname: str) -> str:
    """The word for a class: "Siberian husky" -> `<siberian-husky>`.

    Angle brackets keep the word from matching inside other words; letters and digits of any
    alphabet stay, all else becomes "-".
    """
    return token_words([classname])[0]


def token_words(classnames: Sequence[str]) -> tuple[str, ...]:
    """A different word for every class: where words clash, the later ones get -2, -3, ..."""
    natural = [file_stem(name)[:_LONGEST_WORD].rstrip("-") for name in classnames]
    used: set[str] = set()
    words = []
    for stem in natural:
        if stem in used:
            numbered = (f"{stem}-{number}" for number in itertools.count(2))
            stem = next(word for word in numbered if word not in used and word not in natural)
        used.add(stem)
        words.append(f"<{stem}>")
    return tuple(words)


def file_stem(token: str) -> str:
    """The name of a token's file, without suffix: `<dog2>` -> "dog2"."""
    text = unicodedata.normalize("NFKC", token).lower()
    words = "".join(letter if letter.isalnum() else " " for letter in text).split()
    return "-".join(words) or "class"
