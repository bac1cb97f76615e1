"""The files of CLIP's tokenizer; of them, only fields of a known meaning reach transformers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.bpe import (
    MOST_WORDS,
    REMEDY,
    AddedWord,
    added_word,
    longest_text,
    read_settings,
    read_vocabulary,
    refusing_damage,
    require_numbers,
)
from common.errors import UserError
from common.records import Record
from common.sizes import require
from common.text import shown

SUFFIX = "</w>"
"""Ends the last piece of a word."""

SPECIAL = {
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
}
"""The special tokens, by role, of CLIP's own tokenizer."""

_CLASSES = ("CLIPTokenizer", "CLIPTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend")
_SHORTEST = 3  # start, one token, end


def read_tokenizer(directory: Path, pad: int | None = None) -> Any:
    """Return a `transformers.CLIPTokenizer` of the files in a directory.

    It is built of words, merges and lengths alone. What else `tokenizer_config.json` may hold
    (chat templates, names of files and of code, arguments) is neither read nor kept.

    Args:
      directory: Holds them.
      pad: Id of the word that fills sequences up; by default the files name one.

    Raises:
      UserError: The files are missing, damaged, or describe another kind of tokenizer.
    """
    vocabulary = read_vocabulary(directory, SUFFIX)
    config = read_settings(directory / "tokenizer_config.json")
    require(config, {"tokenizer_class": _CLASSES, "split_special_tokens": (False,)})
    longest = longest_text(config, _SHORTEST)
    by_number = config.record("added_tokens_decoder", default={})
    added = _together(_by_number(by_number), vocabulary.added, shown(directory))
    special = _special(config, directory, bool(by_number.content))
    if words := [word for word, number in vocabulary.ids.items() if number == pad]:
        special["pad_token"] = words[0]

    # Without PyTorch, which is not needed here, transformers would warn at every start.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    # Importing transformers takes a second that commands without text need not spend.
    from transformers import AddedToken, CLIPTokenizer

    with refusing_damage(directory):
        tokens = {word.content: AddedToken(word.content, **word.flags) for word in added}
        tokenizer = CLIPTokenizer(
            vocab=dict(vocabulary.ids),
            merges=list(vocabulary.merges),
            added_tokens_decoder={word.id: tokens[word.content] for word in added},
            model_max_length=longest,
            **{role: tokens.get(word, word) for role, word in special.items()},
        )
        numbers = [tokenizer.convert_tokens_to_ids(word.content) for word in added]
    require_numbers(added, numbers, directory)
    return tokenizer


def config_of(tokenizer: Any, length: int | None) -> dict[str, Any]:
    """Return the content of `tokenizer_config.json` for a `transformers.CLIPTokenizer`.

    Args:
      tokenizer: Of words, merges and lengths, as above.
      length: Of the longest text; the tokenizer's own by default.
    """
    return {
        "add_prefix_space": False,
        "backend": "tokenizers",
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": length or tokenizer.model_max_length,
        "tokenizer_class": "CLIPTokenizer",
        **{role: str(getattr(tokenizer, role)) for role in SPECIAL},
    }


def _by_number(table: Record) -> list[AddedWord]:
    words = []
    for key in table.content:
        if not (key.isdecimal() and len(key) < 10 and int(key) < MOST_WORDS):
            raise UserError(
                f"{table.place}{key[:20]} in {table.where} is not a word's number, which is below "
                f"{MOST_WORDS}: {REMEDY}."
            )
        words.append(added_word(table.record(key), int(key)))
    return words


def _together(first: list[AddedWord], second: tuple[AddedWord, ...], where: str) -> list[AddedWord]:
    """Return the words of two tables, in the order of their ids; flags are those of the first."""
    words: dict[str, AddedWord] = {}
    numbers: dict[int, str] = {}
    for word in (*first, *second):
        known = words.setdefault(word.content, word)
        if known.id != word.id or numbers.setdefault(word.id, word.content) != word.content:
            other = numbers.get(word.id, word.content)
            raise UserError(
                f"the tokenizer in {where} has two added words or ids that exclude each other: "
                f"{known.content!r} with {known.id}, {other!r} with {word.id}: {REMEDY}."
            )
    return sorted(words.values(), key=lambda word: word.id)


def _special(config: Record, directory: Path, complete: bool) -> dict[str, str]:
    """Return the special tokens; an older file of their own has precedence, as in transformers."""
    older = read_settings(directory / "special_tokens_map.json")
    sources = [config] if complete else [older, config]
    return {role: _named(role, usual, sources) for role, usual in SPECIAL.items()}


def _named(role: str, usual: str, sources: list[Record]) -> str:
    for source in sources:
        value = source.content.get(role)
        if isinstance(value, Mapping):
            return source.record(role).text("content", longest=1000)
        if value is not None:
            return source.text(role, longest=1000)
    return usual
