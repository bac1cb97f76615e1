"""The files of SigLIP's tokenizers: pieces of sentencepiece, which `tokenizers` finds in texts.

SigLIP's own is a unigram model of cleaned text, SigLIP 2's the byte-pair encoding of Gemma.
"""

import base64
import binascii
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.bpe import (
    LIMIT,
    MOST_WORDS,
    REMEDY,
    AddedWord,
    added_word,
    numbers_of,
    pairs_of,
    refusing_damage,
    require_numbers,
)
from common.errors import UserError
from common.files import read_json
from common.records import Record
from common.sizes import require
from common.text import shown

SPACE = "▁"
"""How a piece begins that begins a word."""

FILE, SETTINGS = "tokenizer.json", "tokenizer_config.json"
_PUNCTUATION = "".join(rf"\{sign}" for sign in string.punctuation)
# By the kind of model: the usual words for end and padding, and for what is not known.
_WORDS = {
    "Unigram": {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"},
    "BPE": {"eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"},
}
_BPE = {
    "dropout": (0.0,),
    "continuing_subword_prefix": ("",),
    "end_of_word_suffix": ("",),
    "fuse_unk": (True,),
    "byte_fallback": (True,),
    "ignore_merges": (False,),
}
_SHORTEST = 2  # one token, end
_UNLIMITED = 10**30
_LONGEST = 1000  # letters of a piece
_DEEPEST = 8


@dataclass(frozen=True, eq=False)
class Pieces:
    """The part of a `transformers` tokenizer that `Tokenizer` uses.

    Attributes:
      backend_tokenizer: A `tokenizers.Tokenizer`.
      words: Those for end, padding and what is not known, by role.
      model_max_length: Of the longest text.
    """

    backend_tokenizer: Any
    words: Mapping[str, str]
    model_max_length: int

    bos_token_id = None

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


def read_pieces(directory: Path) -> Pieces:
    """Return a tokenizer of the files in a directory.

    It is built of pieces, their scores or merges, added words and lengths alone; cleaning and
    splitting are SigLIP's, whatever the file says of them.

    Raises:
      UserError: The files are missing, damaged, or describe another kind of tokenizer.
    """
    file = directory / FILE
    if not file.is_file():
        raise UserError(
            f"{shown(directory)} holds no {FILE}, which SigLIP's tokenizer is read from: copy the "
            "model's there; one of spiece.model is in google/siglip-base-patch16-224."
        )
    record = Record(read_json(file, REMEDY, LIMIT), shown(file), REMEDY)
    model = record.record("model")
    kind = model.text("type", tuple(_WORDS))
    settings = directory / SETTINGS
    content = read_json(settings, REMEDY, LIMIT) if settings.is_file() else {}
    config = Record(content, shown(settings), REMEDY)
    longest = config.number("model_max_length", low=_SHORTEST, default=_UNLIMITED)
    words = {role: _named(config, role, usual) for role, usual in _WORDS[kind].items()}
    added = record.content.get("added_tokens") is not None
    added = tuple(map(added_word, record.records("added_tokens"))) if added else ()
    with refusing_damage(directory):
        backend = _BUILDERS[kind](record, model)
        if absent := [word for word in words.values() if backend.token_to_id(word) is None]:
            raise UserError(f"{shown(file)} has no piece {absent[0][:50]!r}: {REMEDY}.")
        _add(backend, added, words["eos_token"], directory)
    return Pieces(backend, words, int(min(longest, _UNLIMITED)))


def _unigram(record: Record, model: Record) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pieces = _scored(model)
    unknown = model.integer("unk_id", high=len(pieces) - 1)
    fallback = model.boolean("byte_fallback", default=False)
    backend = Tokenizer(models.Unigram(pieces, unknown, fallback))
    mapped = [normalizers.Precompiled(table) for table in _character_maps(record)]
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.Lowercase(),
            normalizers.Replace(Regex(f"[{_PUNCTUATION}]"), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            *mapped,
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "always")
    backend.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Metaspace(SPACE, "always")]
    )
    return backend


def _byte_pairs(record: Record, model: Record) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    require(model, _BPE)
    numbers = numbers_of(model.record("vocab"))
    merges = pairs_of(model.content.get("merges", []), numbers, record.where)
    unknown = model.text("unk_token", longest=_LONGEST, default="<unk>")
    backend = Tokenizer(
        models.BPE(numbers, merges, fuse_unk=True, byte_fallback=True, unk_token=unknown)
    )
    backend.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(" ", SPACE)]
    )
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return backend


_BUILDERS = {"Unigram": _unigram, "BPE": _byte_pairs}


def _add(backend: Any, added: tuple[AddedWord, ...], eos: str, directory: Path) -> None:
    """Add the words that are one id wherever they stand, and the end token behind each text.

    Special words have their ids already; in a text they are letters, as where SigLIP was trained.
    """
    from tokenizers import AddedToken, processors

    plain = [word for word in added if not word.flags.get("special")]
    for word in sorted(plain, key=lambda word: word.id):
        backend.add_tokens([AddedToken(word.content, **word.flags)])
    numbers = [backend.token_to_id(word.content) for word in plain]
    require_numbers(plain, numbers, directory)
    backend.post_processor = processors.TemplateProcessing(
        f"$A {eos}", f"$A {eos} $B {eos}", [(eos, backend.token_to_id(eos))]
    )


def _scored(model: Record) -> list[tuple[str, float]]:
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
            return len(piece) <= _LONGEST
    return False


def _character_maps(record: Record) -> list[bytes]:
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
        return config.record(role).text("content", longest=_LONGEST)
    return config.text(role, longest=_LONGEST, default=usual)
