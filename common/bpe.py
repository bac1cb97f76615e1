"""Files of byte-pair vocabularies, checked before a library for tokenizers sees them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.damage import cause
from common.errors import UserError
from common.files import read_record, read_text
from common.records import Record
from common.sizes import require
from common.text import shown

REMEDY = "copy the tokenizer's files again from where its model came from"
MOST_WORDS = 2**22
LIMIT = 2**28
"""Bytes of a file."""
UNLIMITED = 10**30
"""The length that transformers writes of texts of any length."""

_LONGEST = 1000  # letters of a word
_FLAGS = ("special", "normalized", "single_word", "lstrip", "rstrip")
# Of the `model` in tokenizer.json: fields that may only have these values.
_MODEL = {
    "type": ("BPE",),
    "dropout": (0.0,),
    "continuing_subword_prefix": ("",),
    "byte_fallback": (False,),
    "ignore_merges": (False,),
}


@dataclass(frozen=True)
class AddedWord:
    """A word that is one id wherever it stands in a text.

    Attributes:
      content: The word.
      id: Its number.
      flags: How the text around it is treated, by the names of `tokenizers.AddedToken`.
    """

    content: str
    id: int
    flags: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Vocabulary:
    """What `tokenizer.json`, or `vocab.json` with `merges.txt`, holds.

    Attributes:
      ids: Of each piece.
      merges: Pairs of pieces that become one, the first ones first.
      added: Words beside the pieces.
      settings: The rest of `tokenizer.json`.
    """

    ids: Mapping[str, int]
    merges: Sequence[tuple[str, str]]
    added: tuple[AddedWord, ...]
    settings: Record


def read_vocabulary(directory: Path, suffix: str) -> Vocabulary:
    """Read `tokenizer.json`, or else `vocab.json` with `merges.txt` and `added_tokens.json`.

    Args:
      directory: Of the tokenizer.
      suffix: What marks a piece that ends a word.

    Raises:
      UserError: There is no vocabulary, it is damaged, or it is not of this kind.
    """
    require_tokenizer(directory)
    whole = directory / "tokenizer.json"
    if whole.is_file():
        record = read_record(whole, REMEDY, LIMIT)
        model = record.record("model")
        require(model, _MODEL | {"end_of_word_suffix": (suffix,)})
        ids, where = model.record("vocab"), model.where
        merges = model.content.get("merges", [])
        added = added_words(record)
    else:
        ids = read_record(directory / "vocab.json", REMEDY, LIMIT)
        where = shown(directory / "merges.txt")
        merges = read_text(directory / "merges.txt", REMEDY, LIMIT).split("\n")
        merges = [line.rstrip("\r") for line in merges if line and line[:8] != "#version"]
        record, added = Record({}, where, REMEDY), []
    added += _more_words(directory / "added_tokens.json", {word.content for word in added})
    numbers = numbers_of(ids)
    return Vocabulary(numbers, pairs_of(merges, numbers, where), tuple(added), record)


def require_tokenizer(directory: Path) -> None:
    """Refuse a directory without a vocabulary.

    Raises:
      UserError: It has neither form.
    """
    complete = (("tokenizer.json",), ("vocab.json", "merges.txt"))
    if not any(all((directory / name).is_file() for name in names) for names in complete):
        raise UserError(
            f"{shown(directory)} holds no tokenizer; copy tokenizer.json, or vocab.json and "
            "merges.txt, of the model there."
        )


def read_settings(file: Path) -> Record:
    """Return the fields of a file that a tokenizer may lack; it has none then.

    Raises:
      UserError: It is damaged.
    """
    if file.is_file():
        return read_record(file, REMEDY, LIMIT)
    return Record({}, shown(file), REMEDY)


def longest_text(settings: Record, shortest: int) -> int:
    """Return how many ids fit into a text, as `tokenizer_config.json` says.

    Args:
      settings: Of that file.
      shortest: The least that makes sense.
    """
    longest = settings.number("model_max_length", low=shortest, default=UNLIMITED)
    return int(min(longest, UNLIMITED))


def added_words(record: Record) -> list[AddedWord]:
    """Return the words that `tokenizer.json` has beside its pieces."""
    return [added_word(entry) for entry in record.records("added_tokens", default=())]


def added_word(record: Record, number: int | None = None) -> AddedWord:
    """Return an added word of `tokenizer.json`; of a table by number, `number` is its id."""
    flags = {name: record.boolean(name, default=None) for name in _FLAGS}
    return AddedWord(
        record.text("content", longest=_LONGEST),
        record.integer("id", high=MOST_WORDS - 1) if number is None else number,
        {name: flag for name, flag in flags.items() if flag is not None},
    )


def require_rows(words: int, rows: int, directory: Path, tower: str) -> None:
    """Refuse a tokenizer of more words than the model has rows for.

    A learned token stands where the rows end, so such a word would get its vector.

    Raises:
      UserError: It names both numbers.
    """
    if words > rows:
        raise UserError(
            f"the tokenizer in {shown(directory)} knows {words} ids, the {tower} only {rows}; "
            "they belong to different models: copy both from one model, or resize the model's "
            "token embeddings to the tokenizer's words."
        )


def require_numbers(added: Sequence[AddedWord], numbers: Sequence[int], directory: Path) -> None:
    """Check that added words have got the ids that their file says.

    Raises:
      UserError: Libraries count them on from the vocabulary's last id, whatever the file says.
    """
    for word, number in zip(added, numbers, strict=True):
        if number != word.id:
            raise UserError(
                f"the tokenizer in {shown(directory)} gives the added word {word.content[:50]!r} "
                f"the id {word.id}, where {number} follows: {REMEDY}."
            )


@contextmanager
def refusing_damage(directory: Path) -> Iterator[None]:
    """Turn what libraries for tokenizers raise into one sentence.

    Raises:
      UserError: Something was raised.
    """
    try:
        yield
    except UserError:
        raise
    except BaseException as error:
        # The libraries raise bare exceptions, and panics of Rust that are none.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(
            f"the tokenizer in {shown(directory)} cannot be read ({cause(error)}): {REMEDY}."
        ) from error


def _more_words(file: Path, known: set[str]) -> list[AddedWord]:
    """Return the words in an older tokenizer's file of added words, by their ids."""
    record = read_settings(file)
    if not record.content:
        return []
    numbers = {word: number for word, number in numbers_of(record).items() if word not in known}
    return [AddedWord(word, numbers[word]) for word in sorted(numbers, key=numbers.__getitem__)]


def numbers_of(record: Record) -> dict[str, int]:
    """Return the ids of words.

    Raises:
      UserError: There are none, or two words share one.
    """
    numbers: dict[str, int] = {}
    if not record.content:
        raise UserError(f"the vocabulary in {record.where} is empty: {REMEDY}.")
    for word, value in record.content.items():
        plain = type(value) is int and 0 <= value < MOST_WORDS
        numbers[word] = value if plain else record.integer(word, high=MOST_WORDS - 1)
    if len(set(numbers.values())) < len(numbers):
        last = {number: word for word, number in numbers.items()}
        first, second = next((w, last[n]) for w, n in numbers.items() if last[n] != w)
        raise UserError(
            f"{record.where} gives {first[:50]!r} and {second[:50]!r} one id, {numbers[second]}: "
            f"{REMEDY}."
        )
    return numbers


def pairs_of(merges: Any, numbers: Mapping[str, int], where: str) -> list[tuple[str, str]]:
    """Return the merges of a vocabulary.

    Raises:
      UserError: One is not two pieces that make a third.
    """
    if not isinstance(merges, list):
        raise UserError(f"the merges in {where} are not a list: {REMEDY}.")
    pairs = []
    for number, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        whole = isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
        if not whole or not {*pair, "".join(pair)} <= numbers.keys():
            raise UserError(
                f"merge {number} in {where} is not two pieces of the vocabulary that make a "
                f"third, but {str(merge)[:50]!r}: {REMEDY}."
            )
        pairs.append((pair[0], pair[1]))
    return pairs
