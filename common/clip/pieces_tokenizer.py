"""What tokenizers share whose files hold the pieces of words: SigLIP's, MetaCLIP 2's, CLIPA's."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from common.clip.pieces_file import FILE, SETTINGS, SPACE, Pieces
from common.clip.tokenizer import Tokenizer
from common.files import atomic_write, write_json


class PiecesTokenizer(Tokenizer):
    """Text to token ids; see `Tokenizer`.

    Attributes:
      longest: Tokens of a text at most, whatever the files say.
    """

    longest: ClassVar[int]

    def __init__(self, tokenizer: Pieces):
        """Wrap what `read` returns."""
        super().__init__(tokenizer)
        self.length = min(tokenizer.model_max_length, self.longest)

    @staticmethod
    @abstractmethod
    def read(directory: Path) -> Pieces:
        """Read the files of a directory."""

    @classmethod
    def from_directory(cls, path: Path | str, pad: int | None = None) -> "PiecesTokenizer":
        """Read the files of a tokenizer.

        Args:
          path: A directory.
          pad: Not for these tokenizers, whose files name the id.

        Raises:
          UserError: The directory has none, or they are damaged or of another kind.
        """
        assert pad is None
        return cls(cls.read(Path(path)))

    def save(self, path: Path | str, length: int | None = None) -> None:
        """Write the files that `from_directory` and transformers read."""
        with atomic_write(Path(path) / FILE) as temporary:
            text = self._tokenizer.backend_tokenizer.to_str(pretty=True)
            temporary.write_text(text, encoding="utf-8")
        write_json(Path(path) / SETTINGS, self._settings(length or self.length))

    def _settings(self, length: int) -> dict[str, Any]:
        """Return what transformers reads beside the pieces."""
        settings = {
            "backend": "tokenizers",
            "model_max_length": length,
            "padding_side": "right",
            "tokenizer_class": "PreTrainedTokenizerFast",
        }
        return settings | self._tokenizer.words

    def _clean(self, text: str) -> str:
        return text  # The backend does it.

    def word(self, token: int) -> str:
        """Return an id in readable form: "dog", or "-dog" for a piece that begins no word."""
        piece = self._tokenizer.backend_tokenizer.id_to_token(token)
        return piece.removeprefix(SPACE) if piece.startswith(SPACE) else f"-{piece}"
