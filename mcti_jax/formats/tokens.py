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
      metadata: Where the vectors come from, all text; files keep what there is. `class` is the
        class's name in its data set and `class_index` its number there, from 0; further
        `base_model`, `fingerprint`, `pool`, `templates`, `step`, `gamma`, `logit_scale`.

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


def in_class_order(
    tokens: Sequence[LearnedToken], classnames: Sequence[str]
) -> Float32[np.ndarray, "k n d"]:
    """The vectors of a run's tokens in the order of `classnames`, whatever order the files have.

    Where the names are those of the run in its own order, `class_index` decides, since data sets
    may call two classes the same (ImageNet has two cranes); else names do.

    Raises:
      UserError: A token does not say its class, or the classes are not the run's.
    """
    try:
        numbered = sorted(tokens, key=lambda token: int(token.metadata["class_index"]))
        names = [token.metadata["class"] for token in numbered]
    except (KeyError, ValueError):
        raise UserError(
            "a token file does not say which class it is (`class` and `class_index` in its "
            "metadata): give the tokens as the training run wrote them."
        ) from None
    if names != list(classnames):
        if differing := sorted(set(names) ^ set(classnames)):
            raise UserError(
                "the data set and the run do not have the same classes: only one of them has "
                f"{', '.join(differing[:5])}."
            )
        if len(names) != len(classnames) or len(set(names)) < len(names):
            raise UserError(
                "several classes of the run have one name, so that it can only be measured on "
                "data with its own classes in their order."
            )
        by_name = dict(zip(names, numbered, strict=True))
        numbered = [by_name[name] for name in classnames]
    return np.stack([token.vectors for token in numbered])


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
