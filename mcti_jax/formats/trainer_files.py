"""What diffusers' trainer of textual inversion leaves: `learned_embeds.bin` in a folder per run."""

import re
from collections import Counter
from dataclasses import replace

from common.diffusion.words import word_key
from common.errors import UserError
from common.paths import AnyPath
from common.progress import say
from mcti_jax.formats.tokens import LearnedToken, token_word
from mcti_jax.widths import join

_SAVED = re.compile(r"learned_embeds(?P<second>_2)?(?:-steps-(?P<step>\d{1,18}))?")
"""The trainer's files; the final one has no number, those of XL's second text encoder a 2."""
_AT_THE_END = 10**18

Read = list[tuple[AnyPath, LearnedToken]]
"""Tokens with the files that they were read from."""


def finished(files: list[AnyPath]) -> list[AnyPath]:
    """Leave out what the trainer saved on the way to a later file of the same folder."""
    saved = {file: _SAVED.fullmatch(file.stem) for file in files}
    steps = {file: int(match["step"] or _AT_THE_END) for file, match in saved.items() if match}
    series = {file: (file.parent, saved[file]["second"]) for file in steps}
    last: dict[tuple[AnyPath, str | None], int] = {}
    for file, step in steps.items():
        last[series[file]] = max(step, last.get(series[file], 0))
    return [file for file in files if file not in steps or steps[file] == last[series[file]]]


def halves_joined(read: Read) -> Read:
    """Join what the trainer for XL leaves of a word: a file for each text encoder.

    Raises:
      UserError: The two have different numbers of vectors.
    """
    halves: dict[tuple, dict[str | None, LearnedToken]] = {}
    keys = []
    for file, token in read:
        match = _SAVED.fullmatch(file.stem)
        keys.append(match and (file.parent, match["step"], token.token))
        if match:
            halves.setdefault(keys[-1], {})[match["second"]] = token
    joined = []
    for (file, token), key in zip(read, keys, strict=True):
        first, second = (halves.get(key, {}).get(part) for part in (None, "_2"))
        pair = first and second and first.widths != second.widths  # Else two words of one encoder.
        if pair and token is first:
            token = _both(file, first, second)
        if not pair or token is not second:
            joined.append((file, token))
    return joined


def _both(file: AnyPath, first: LearnedToken, second: LearnedToken) -> LearnedToken:
    if len(first.vectors) != len(second.vectors):
        raise UserError(
            f"{str(file)!r} and the file of the second text encoder beside it hold "
            f"{len(first.vectors)} and {len(second.vectors)} vectors of {first.token}: get them "
            "again."
        )
    vectors = join([first.vectors, second.vectors])
    return replace(first, vectors=vectors, widths=(*first.widths, *second.widths))


def called_by_folders(read: Read) -> Read:
    """Call tokens of one word by their folders, where the names of their files say nothing.

    The paper's code trains every class as `<person-toy>`.
    """
    words = [token.token for file, token in read if _SAVED.fullmatch(file.stem)]
    claims = Counter(map(word_key, words))
    several = {word: claims[word_key(word)] for word in words if claims[word_key(word)] > 1}
    for word, count in several.items():
        say(f"{count} tokens are called {word}; each is read as the word of its folder.")
    return [
        (file, replace(token, token=token_word(file.parent.name)))
        if token.token in several and _SAVED.fullmatch(file.stem)
        else (file, token)
        for file, token in read
    ]
