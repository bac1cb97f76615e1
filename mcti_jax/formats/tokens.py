"""A learned token, and the word that a prompt calls it by."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from common.diffusion.words import BRACKETED, word_key, word_stem
from common.errors import UserError
from common.text import counted, some
from mcti_jax.widths import Widths, by_encoder, listed

# Letters and bytes of a word, which keep the names of its file, and of one that is being
# written, under 255 bytes in any alphabet.
_LONGEST_WORD, _LONGEST_BYTES = 60, 180
_FAMILIES = {
    (768,): "Stable Diffusion 1.x",
    (1024,): "Stable Diffusion 2.x",
    (768, 1280): "Stable Diffusion XL",
}


@dataclass(frozen=True, eq=False)
class LearnedToken:
    """The vectors that stand for one class in a text tower's input.

    Attributes:
      token: The word to type in a prompt, such as `<dog2>`.
      vectors: Input embeddings `[n, d]`; more than one stand behind each other in the prompt. For
        Stable Diffusion XL those of both text encoders side by side, d = 768 + 1280.
      metadata: Where the vectors come from, all text; files keep what there is. `class` is the
        class's name in its data set and `class_index` its number there, from 0, of `class_count`;
        further `base_model`, `fingerprint`, `pool`, `templates`, `step`, `gamma`, `logit_scale`.
      spellings: What else prompts may call it, without brackets: the name of its file, where
        the tool that such files are for goes by that.
      widths: Of each text encoder's vectors; () stands for one encoder.

    Raises:
      UserError: The word could not be typed, or the vectors hold NaN or infinity.
    """

    token: str
    vectors: Float32[np.ndarray, "n d"]
    metadata: Mapping[str, str] = field(default_factory=dict)
    spellings: tuple[str, ...] = ()
    widths: Widths = ()

    def __post_init__(self):
        if not self.widths:
            object.__setattr__(self, "widths", self.vectors.shape[-1:])
        if self.token.split() != [self.token]:
            raise UserError(f"the token {self.token!r} must be one word without spaces.")
        if not is_word(self.token):
            raise UserError(
                f"the token {self.token!r} cannot be typed in a prompt: use letters and digits."
            )
        if not self.vectors.size:
            raise UserError(f"the token {self.token!r} has no vectors.")
        if not np.isfinite(self.vectors).all():
            raise UserError(
                f"the vectors of {self.token!r} hold NaN or infinity: its training diverged; "
                "train it again with a smaller learning rate."
            )

    @property
    def by_encoder(self) -> Any:
        """The vectors `[n d]` as prompts take them; for XL by the key of each text encoder."""
        return by_encoder(self.vectors, self.widths)


def in_class_order(
    tokens: Sequence[LearnedToken], classnames: Sequence[str]
) -> Float32[np.ndarray, "k n d"]:
    """Return the vectors of a run's tokens in the order of `classnames`, not of the files.

    Where the names are those of the run in its own order, `class_index` decides, since data sets
    may call two classes the same (ImageNet has two cranes); else names do.

    Raises:
      UserError: A token does not say its class, or the classes are not the run's.
    """
    if len({token.vectors.shape for token in tokens}) > 1:
        most = max(tokens, key=lambda token: token.vectors.size)
        raise UserError(
            f"the tokens are not of one run: {most.token} has "
            f"{counted(len(most.vectors), 'vector')} {most.vectors.shape[1]} wide, others have "
            "fewer; keep the run's own files alone."
        )
    numbered = by_class_index(tokens)
    names = [token.metadata["class"] for token in numbered]
    if names != list(classnames):
        differing = {
            "the data set lacks": sorted(set(names) - set(classnames)),
            "the run has not learned": sorted(set(classnames) - set(names)),
        }
        if said := [f"{what} {some(found)}" for what, found in differing.items() if found]:
            raise UserError(
                f"{' and '.join(said)}: give data of the run's classes, no more and no fewer."
            )
        if len(names) != len(classnames) or len(set(names)) < len(names):
            raise UserError(
                "several classes of the run have one name, so that it can only be measured on "
                "data with its own classes in their order."
            )
        by_name = dict(zip(names, numbered, strict=True))
        numbered = [by_name[name] for name in classnames]
    return np.stack([token.vectors for token in numbered])


def require_vectors(tokens: Float32[np.ndarray, "k n d"], vectors: int, where: str = "") -> None:
    """Refuse tokens of another number of vectors than their run's config says.

    Args:
      tokens: As of `in_class_order`.
      vectors: Of each, by the config.
      where: Of the run, in a sentence, such as " in runs/mine".

    Raises:
      UserError: It says both numbers.
    """
    if tokens.shape[1] != vectors:
        raise UserError(
            f"the tokens{where} have {counted(tokens.shape[1], 'vector')} each and the run's "
            f"config.json says vectors={vectors}: put the files of one run together."
        )


def by_class_index(tokens: Sequence[LearnedToken]) -> list[LearnedToken]:
    """Return a run's tokens in the order of its classes.

    Raises:
      UserError: A token does not say its class.
    """
    try:
        for token in tokens:
            _ = token.metadata["class"]
        numbers = [int(token.metadata["class_index"]) for token in tokens]
        if min(numbers, default=0) < 0:
            raise ValueError
    except (KeyError, ValueError):
        raise UserError(
            "a token file does not say which class it is (`class` and `class_index` in its "
            "metadata): give the tokens as the training run wrote them."
        ) from None
    return [tokens[place] for place in np.argsort(numbers, kind="stable")]


def token_word(classname: str) -> str:
    """Return the word for a class: "Siberian husky" -> `<siberian-husky>`.

    Angle brackets keep the word from matching inside other words; letters and digits of any
    alphabet stay, all else becomes "-".
    """
    return token_words([classname])[0]


def token_words(classnames: Sequence[str]) -> tuple[str, ...]:
    """Return a different word for every class: where words clash, the later ones get -2, -3, ..."""
    natural = [_shortened(file_stem(name)) for name in classnames]
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
    """Return the name of a token's file, without suffix: `<dog2>` -> "dog2"."""
    return word_stem(token) or "class"


def is_word(text: str) -> bool:
    """Return whether a prompt can hold `text` as one word, bare or in brackets."""
    bare = text[1:-1] if BRACKETED.fullmatch(text) else text
    return bare.isprintable() and bare.split() == [bare] and not set("<>") & set(bare)


def require_usable(tokens: Sequence[LearnedToken], widths: Widths, model: str) -> None:
    """Refuse tokens that do not fit a base model, or that say nothing.

    Args:
      tokens: As they were read.
      widths: Of the vectors that the model's text encoders take.
      model: Its name, for the sentence.

    Raises:
      UserError: It names the token, its widths and the model's.
    """
    for token in tokens:
        require_widths(token.token, token.widths, widths, f"model={model}")
        if not token.vectors.any(axis=1).all():
            raise UserError(
                f"a vector of {token.token} is all zeros and says nothing: leave the token out "
                "or get its file again."
            )


def require_widths(token: str, actual: Widths, widths: Widths, wanted_by: str) -> None:
    """Refuse vectors that are `actual` wide where they have to be `widths` wide.

    Raises:
      UserError: It says both.
    """
    if actual != widths:
        family, other = (_FAMILIES.get(sizes, "another model") for sizes in (actual, widths))
        raise UserError(
            f"the vectors of {token} are {listed(actual)} wide ({family}), but {listed(widths)} "
            f"was expected ({other}) by {wanted_by}; use tokens that were trained for one base "
            "model."
        )


def typed_words(tokens: Sequence[LearnedToken]) -> dict[str, Any]:
    """Return the vectors by every word of prompts, without spellings that two tokens share."""
    claims: dict[str, set[str]] = {}
    for token in tokens:
        for word in (token.token, *token.spellings):
            claims.setdefault(word_key(word), set()).add(token.token)
    others = {
        spelling: token.by_encoder
        for token in tokens
        for spelling in token.spellings
        if len(claims[word_key(spelling)]) == 1
    }
    return {**others, **{token.token: token.by_encoder for token in tokens}}


def _shortened(stem: str) -> str:
    """Return as much of a word as fits into a file's name."""
    kept = stem[:_LONGEST_WORD].encode("utf-8", "ignore")[:_LONGEST_BYTES]
    return kept.decode("utf-8", "ignore").rstrip("-")
