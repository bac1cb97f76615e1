"""Tokenizers of sentencepiece's pieces, as `tokenizer.json` holds them."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.bpe import (
    LIMIT,
    MOST_WORDS,
    REMEDY,
    AddedWord,
    added_words,
    longest_text,
    read_settings,
    refusing_damage,
    require_numbers,
)
from common.errors import UserError
from common.files import read_record
from common.records import Record
from common.text import shown

SPACE = "▁"
"""How a piece begins that begins a word."""

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
LONGEST = 1000
"""Letters of a piece."""
_SHORTEST = 2  # one token, end
_DEEPEST = 8


@dataclass(frozen=True, eq=False)
class Pieces:
    """The part of a `transformers` tokenizer that `Tokenizer` uses.

    Attributes:
      backend_tokenizer: A `tokenizers.Tokenizer`.
      words: Those for start (if any), end, padding and what is not known, by role.
      model_max_length: Of the longest text.
    """

    backend_tokenizer: Any
    words: Mapping[str, str]
    model_max_length: int

    @property
    def bos_token_id(self) -> int | None:
        """Id of the start token; None where texts have none."""
        word = self.words.get("bos_token")
        return None if word is None else self.backend_tokenizer.token_to_id(word)

    @property
    def eos_token_id(self) -> int:
        """Id of the end token."""
        return self.backend_tokenizer.token_to_id(self.words["eos_token"])

    @property
    def pad_token_id(self) -> int:
        """Id that fills a sequence up."""
        return self.backend_tokenizer.token_to_id(self.words["pad_token"])

    @cached_property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """Words beside the pieces, by id."""
        return self.backend_tokenizer.get_added_tokens_decoder()

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all pieces and words."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=True)

    def decode(self, ids: list[int]) -> str:
        """Return the text of some ids."""
        return self.backend_tokenizer.decode(ids, skip_special_tokens=False)


@dataclass(frozen=True)
class Dialect:
    """What a family's texts are read by, beside the pieces.

    Attributes:
      words: The usual words for end, padding, what is not known, and start if texts have one, by
        the kind of model that the family's files may hold.
      builders: From the file and its model to a `tokenizers.Tokenizer`, by kind.
      missing: Where a missing file is had from.
      special: Whether a special word that stands in a text is one token there, too.
    """

    words: Mapping[str, Mapping[str, str]]
    builders: Mapping[str, Callable[[Record, Record], Any]]
    missing: str
    special: bool = False

    def read(self, directory: Path) -> Pieces:
        """Return a tokenizer of the files in a directory.

        It is built of pieces, their scores or merges, added words and lengths alone; cleaning and
        splitting are the family's, whatever the file says of them.

        Raises:
          UserError: The files are missing, damaged, or describe another kind of tokenizer.
        """
        file = directory / FILE
        if not file.is_file():
            raise UserError(f"{shown(directory)} holds no {FILE}, {self.missing}.")
        record = read_record(file, REMEDY, LIMIT)
        model = record.record("model")
        kind = model.text("type", tuple(self.words))
        config = read_settings(directory / SETTINGS)
        longest = longest_text(config, _SHORTEST)
        words = {role: _named(config, role, usual) for role, usual in self.words[kind].items()}
        added = added_words(record)
        with refusing_damage(directory):
            backend = self.builders[kind](record, model)
            if absent := [word for word in words.values() if backend.token_to_id(word) is None]:
                raise UserError(f"{shown(file)} has no piece {absent[0][:50]!r}: {REMEDY}.")
            chosen = [word for word in added if self.special or not word.flags.get("special")]
            _add(backend, chosen, directory)
            _enclose(backend, words)
        return Pieces(backend, words, longest)


def _add(backend: Any, added: Sequence[AddedWord], directory: Path) -> None:
    """Add the words that are one id wherever they stand."""
    from tokenizers import AddedToken

    for word in sorted(added, key=lambda word: word.id):
        backend.add_tokens([AddedToken(word.content, **word.flags)])
    numbers = [backend.token_to_id(word.content) for word in added]
    require_numbers(added, numbers, directory)


def _enclose(backend: Any, words: Mapping[str, str]) -> None:
    """Put the end token behind each text, and the start token, if there is one, ahead of it."""
    from tokenizers import processors

    end, start = words["eos_token"], words.get("bos_token", "")
    ids = [(word, backend.token_to_id(word)) for word in (start, end) if word]
    single = f"{start} $A {end}".strip()
    backend.post_processor = processors.TemplateProcessing(single, f"{single} $B {end}", ids)


def scored(model: Record) -> list[tuple[str, float]]:
    """Return the pieces of a unigram model with their scores, by id."""
    pieces = model.content.get("vocab")
    whole = isinstance(pieces, list) and 0 < len(pieces) < MOST_WORDS
    if not whole or not all(map(_is_scored, pieces)):
        model.refuse("vocab", "a list of pieces, each with its score")
    return [(piece, float(score)) for piece, score in pieces]


def _is_scored(pair: Any) -> bool:
    match pair:
        case [str(piece), bool()]:
            return False
        case [str(piece), int() | float()]:
            return len(piece) <= LONGEST
    return False


def character_maps(record: Record) -> list[bytes]:
    """Return sentencepiece's own map of characters, where the file holds one."""
    tables = []

    def visit(content: Any, depth: int) -> None:
        if not isinstance(content, dict) or depth > _DEEPEST:
            return
        if isinstance(table := content.get("precompiled_charsmap"), str):
            tables.append(table)
        for part in content.get("normalizers") or ():
            visit(part, depth + 1)

    visit(record.content.get("normalizer"), 0)
    try:
        return [base64.b64decode(table, validate=True) for table in tables]
    except binascii.Error:
        record.refuse("normalizer", "a normaliser with a map of characters in base64")


def _named(config: Record, role: str, usual: str) -> str:
    value = config.content.get(role)
    if isinstance(value, Mapping):
        return config.record(role).text("content", longest=LONGEST)
    return config.text(role, longest=LONGEST, default=usual)
