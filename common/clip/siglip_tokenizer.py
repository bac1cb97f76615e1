"""SigLIP's tokenizers: SigLIP's own reads cleaned text, SigLIP 2's is Gemma's in lower case.

Texts end in an end token and have no start token.
"""

from typing import Any

from common.clip.pieces_file import SPACE
from common.clip.pieces_tokenizer import PiecesTokenizer
from common.clip.siglip_pieces import SIGLIP


class SigLIPTokenizer(PiecesTokenizer):
    """Text to token ids; see `Tokenizer`. The backend itself cleans the text."""

    longest = 64
    read = SIGLIP.read

    def _settings(self, length: int) -> dict[str, Any]:
        settings = {
            "backend": "tokenizers",
            "model_max_length": length,
            "padding_side": "right",
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
        return settings | self._tokenizer.words

    def _clean(self, text: str) -> str:
        return text

    def word(self, token: int) -> str:
        """Return an id in readable form: "dog", or "-dog" for a piece that begins no word."""
        piece = self._tokenizer.backend_tokenizer.id_to_token(token)
        return piece.removeprefix(SPACE) if piece.startswith(SPACE) else f"-{piece}"
