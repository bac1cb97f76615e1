"""What diffusers' trainer of textual inversion leaves: `learned_embeds.bin` in a folder per run."""

import re
from collections import Counter
from dataclasses import replace

from common.diffusion.words import word_key
from common.paths import AnyPath
from common.progress import say
from mcti_jax.formats.tokens import LearnedToken, token_word

_SAVED = re.compile(r"learned_embeds(?:-steps-(\d{1,18}))?")
"""The trainer's files; the final one has no number."""
_AT_THE_END = 10**18


def finished(files: list[AnyPath]) -> list[AnyPath]:
    """Leave out what the trainer saved on the way to a later file of the same folder."""
    saved = {file: _SAVED.fullmatch(file.stem) for file in files}
    steps = {file: int(match[1] or _AT_THE_END) for file, match in saved.items() if match}
    last: dict[AnyPath, int] = {}
    for file, step in steps.items():
        last[file.parent] = max(step, last.get(file.parent, 0))
    return [file for file in files if file not in steps or steps[file] == last[file.parent]]


def called_by_folders(
    read: list[tuple[AnyPath, LearnedToken]],
) -> list[tuple[AnyPath, LearnedToken]]:
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
