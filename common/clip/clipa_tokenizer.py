"""CLIPA's tokenizer: BERT's words between `[CLS]` and padding."""

from collections.abc import Sequence
from typing import Any

from common.clip.pieces_tokenizer import PiecesTokenizer
from common.clip.tokenizer import mend
from common.clip.word_pieces import (
    CONTINUED,
    MASK,
    PAD,
    SEPARATOR,
    START,
    UNKNOWN,
    read_word_pieces,
)


class CLIPATokenizer(PiecesTokenizer):
    """Text to token ids; see `Tokenizer`. The backend itself sets texts in lower case."""

    longest = 32
    read = staticmethod(read_word_pieces)

    def __init__(self, tokenizer: Any):
        """Wrap a `WordPieces`."""
        super().__init__(tokenizer)
        self._separator = tokenizer.backend_tokenizer.token_to_id(SEPARATOR)

    def _settings(self, length: int) -> dict[str, Any]:
        return {
            "do_lower_case": True,
            "model_max_length": length,
            "tokenizer_class": "BertTokenizer",
            "cls_token": START,
            "mask_token": MASK,
            "pad_token": PAD,
            "sep_token": SEPARATOR,
            "unk_token": UNKNOWN,
        }

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
