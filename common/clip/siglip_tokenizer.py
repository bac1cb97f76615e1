"""SigLIP's tokenizers: SigLIP's own reads cleaned text, SigLIP 2's is Gemma's in lower case.

Texts end in an end token and have no start token.
"""

from pathlib import Path
from typing import Any

from common.clip.siglip_pieces import FILE, SETTINGS, SPACE, read_pieces
from common.clip.tokenizer import Tokenizer
from common.files import atomic_write, write_json

SIGLIP_LENGTH = 64


class SigLIPTokenizer(Tokenizer):
    """Text to token ids; see `Tokenizer`. The backend itself cleans the text."""

    def __init__(self, tokenizer: Any):
        """Wrap a `Pieces`."""
        super().__init__(tokenizer)
        self.length = min(tokenizer.model_max_length, SIGLIP_LENGTH)

    @classmethod
    def from_directory(cls, path: Path | str, pad: int | None = None) -> "SigLIPTokenizer":
        """Read `tokenizer.json`.

        Args:
          path: A directory.
          pad: Not for these tokenizers, whose files name the id.

        Raises:
          UserError: The directory has none, or it is damaged or of another kind.
        """
        assert pad is None
        return cls(read_pieces(Path(path)))

    def save(self, path: Path | str, length: int | None = None) -> None:
        """Write the files that `from_directory` and transformers read."""
        with atomic_write(Path(path) / FILE) as temporary:
            text = self._tokenizer.backend_tokenizer.to_str(pretty=True)
            temporary.write_text(text, encoding="utf-8")
        settings = {
            "backend": "tokenizers",
            "model_max_length": length or self.length,
            "padding_side": "right",
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
        write_json(Path(path) / SETTINGS, settings | self._tokenizer.words)

    def _clean(self, text: str) -> str:
        return text

    def word(self, token: int) -> str:
        """Return an id in readable form: "dog", or "-dog" for a piece that begins no word."""
        piece = self._tokenizer.backend_tokenizer.id_to_token(token)
        return piece.removeprefix(SPACE) if piece.startswith(SPACE) else f"-{piece}"
