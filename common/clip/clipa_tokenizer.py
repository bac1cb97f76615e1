"""CLIPA's tokenizer: BERT's words between `[CLS]` and padding."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.clip.tokenizer import Tokenizer, mend
from common.clip.word_pieces import (
    CONTINUED,
    FILE,
    MASK,
    PAD,
    SEPARATOR,
    SETTINGS,
    START,
    UNKNOWN,
    read_word_pieces,
)
from common.files import atomic_write, write_json

CLIPA_LENGTH = 32


class CLIPATokenizer(Tokenizer):
    """Text to token ids; see `Tokenizer`. The backend itself sets texts in lower case."""

    def __init__(self, tokenizer: Any):
        """Wrap a `WordPieces`."""
        super().__init__(tokenizer)
        self.length = min(tokenizer.model_max_length, CLIPA_LENGTH)
        self._separator = tokenizer.backend_tokenizer.token_to_id(SEPARATOR)

    @classmethod
    def from_directory(cls, path: Path | str, pad: int | None = None) -> "CLIPATokenizer":
        """Read `tokenizer.json`, or else `vocab.txt`.

        Args:
          path: A directory.
          pad: Not for this tokenizer, whose files name the id.

        Raises:
          UserError: The directory has neither, or they are damaged or of another kind.
        """
        assert pad is None
        return cls(read_word_pieces(Path(path)))

    def save(self, path: Path | str, length: int | None = None) -> None:
        """Write the files that `from_directory` and transformers read."""
        with atomic_write(Path(path) / FILE) as temporary:
            text = self._tokenizer.backend_tokenizer.to_str(pretty=True)
            temporary.write_text(text, encoding="utf-8")
        settings = {
            "do_lower_case": True,
            "model_max_length": length or self.length,
            "tokenizer_class": "BertTokenizer",
            "cls_token": START,
            "mask_token": MASK,
            "pad_token": PAD,
            "sep_token": SEPARATOR,
            "unk_token": UNKNOWN,
        }
        write_json(Path(path) / SETTINGS, settings)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once; a `[SEP]` in one becomes padding, as in open_clip."""
        encoded = super().encode_all(texts)
        return [[self.pad if i == self._separator else i for i in ids] for ids in encoded]

    def _clean(self, text: str) -> str:
        return mend(text)

    def word(self, token: int) -> str:
        """Return an id in readable form: "dog", or "-ing" for a piece that begins no word."""
        piece = self._tokenizer.backend_tokenizer.id_to_token(token)
        return f"-{piece.removeprefix(CONTINUED)}" if piece.startswith(CONTINUED) else piece
