"""The files of BERT's tokenizer, which CLIPA's texts are split by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.bpe import (
    LIMIT,
    REMEDY,
    added_words,
    longest_text,
    numbers_of,
    read_settings,
    refusing_damage,
    require_numbers,
)
from common.clip.pieces_file import FILE, SETTINGS, Pieces
from common.errors import UserError
from common.files import read_record, read_text
from common.records import Record
from common.sizes import require
from common.text import shown

WORDS = "vocab.txt"
CONTINUED = "##"
"""How a piece begins that begins no word."""

START, SEPARATOR, PAD, UNKNOWN, MASK = "[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"
_SPECIAL = (PAD, UNKNOWN, START, SEPARATOR, MASK)
_LONGEST = 100  # letters of a word that is split; BERT's own
_MODEL = {
    "type": ("WordPiece",),
    "unk_token": (UNKNOWN,),
    "continuing_subword_prefix": (CONTINUED,),
    "max_input_chars_per_word": (_LONGEST,),
}
_SHORTEST = 3  # start, one token, end


class WordPieces(Pieces):
    """The part of a `transformers` tokenizer that `Tokenizer` uses."""

    @property
    def bos_token_id(self) -> int:
        """Id of the start token."""
        return self.backend_tokenizer.token_to_id(START)


def read_word_pieces(directory: Path) -> WordPieces:
    """Return a tokenizer of `tokenizer.json`, or else of `vocab.txt`.

    It is built of pieces, added words and lengths alone; cleaning and splitting are those of
    bert-base-uncased, whatever the files say of them. A text ends in padding, for CLIPA's own
    tokenizer has it in the place of `[SEP]`.

    Raises:
      UserError: The files are missing, damaged, or describe another kind of tokenizer.
    """
    numbers, added = _read_pieces(directory)
    if absent := [word for word in _SPECIAL if word not in numbers]:
        raise UserError(f"the tokenizer in {shown(directory)} has no piece {absent[0]}: {REMEDY}.")
    if numbers[PAD]:
        # open_clip puts a zero in the place of [SEP].
        raise UserError(f"{PAD} is not the first piece in {shown(directory)}: {REMEDY}.")
    config = read_settings(directory / SETTINGS)
    require(config, {"do_lower_case": (True,), "strip_accents": ()})
    longest = longest_text(config, _SHORTEST)
    with refusing_damage(directory):
        backend = _build(numbers)
        _add(backend, added, directory)
    words = {"eos_token": PAD, "pad_token": PAD, "unk_token": UNKNOWN}
    return WordPieces(backend, words, longest)


def _read_pieces(directory: Path) -> tuple[Mapping[str, int], list[Any]]:
    """Return the pieces by id, and the words beside them."""
    whole, plain = directory / FILE, directory / WORDS
    if whole.is_file():
        record = read_record(whole, REMEDY, LIMIT)
        model = record.record("model")
        require(model, _MODEL)
        return numbers_of(model.record("vocab")), added_words(record)
    if plain.is_file():
        words = read_text(plain, REMEDY, LIMIT).split("\n")
        lines = [word.rstrip("\r") for word in (words if words[-1] else words[:-1])]
        numbers = {word: number for number, word in enumerate(lines)}
        if len(numbers) < len(lines):
            raise UserError(f"{shown(plain)} names a piece twice: {REMEDY}.")
        return numbers_of(Record(numbers, shown(plain), REMEDY)), []
    raise UserError(
        f"{shown(directory)} holds neither {FILE} nor {WORDS}, which CLIPA's tokenizer is read "
        "from: copy those of google-bert/bert-base-uncased there."
    )


def _build(numbers: Mapping[str, int]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    backend = Tokenizer(
        models.WordPiece(
            dict(numbers),
            unk_token=UNKNOWN,
            max_input_chars_per_word=_LONGEST,
            continuing_subword_prefix=CONTINUED,
        )
    )
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece(CONTINUED)
    backend.add_special_tokens(list(_SPECIAL))
    return backend


def _add(backend: Any, added: list[Any], directory: Path) -> None:
    """Add the words that are one id wherever they stand, and start and end around each text."""
    from tokenizers import AddedToken, processors

    plain = [word for word in added if word.content not in _SPECIAL]
    for word in sorted(plain, key=lambda word: word.id):
        backend.add_tokens([AddedToken(word.content, **word.flags)])
    numbers = [backend.token_to_id(word.content) for word in plain]
    require_numbers(plain, numbers, directory)
    ends = [(word, backend.token_to_id(word)) for word in (START, SEPARATOR)]
    pattern = f"{START} $A {SEPARATOR}"
    backend.post_processor = processors.TemplateProcessing(
        pattern, f"{pattern} $B {SEPARATOR}", ends
    )
