"""What tokenizers share whose files hold the pieces of words: SigLIP's and CLIPA's."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from common.clip.pieces_file import FILE, SETTINGS, Pieces
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

    @abstractmethod
    def _settings(self, length: int) -> dict[str, Any]:
        """Return what transformers reads beside the pieces."""
