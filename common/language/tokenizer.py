"""GPT-2's byte-level tokenizer, from the files that are published with a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import atomic_write


class LMTokenizer:
    """Text to token ids and back; case and white space stay as they are.

    Attributes:
      vocab_size: Number of ids.
      end: Id of `END`, the token that ends a text; None where the vocabulary has none.
    """

    END = "<|endoftext|>"

    def __init__(self, backend: Any):
        """Wraps a `tokenizers.Tokenizer`."""
        self._backend = backend
        self.vocab_size: int = backend.get_vocab_size()
        self.end: int | None = backend.token_to_id(self.END)

    @classmethod
    def from_directory(cls, path: Path | str) -> "LMTokenizer":
        """Reads `tokenizer.json`, or `vocab.json` with `merges.txt`.

        Raises:
          UserError: The directory has neither.
        """
        # Commands without text need not load it.
        from tokenizers import ByteLevelBPETokenizer, Tokenizer

        path = Path(path)
        if (path / "tokenizer.json").is_file():
            return cls(Tokenizer.from_file(str(path / "tokenizer.json")))
        vocabulary, merges = path / "vocab.json", path / "merges.txt"
        if not (vocabulary.is_file() and merges.is_file()):
            raise UserError(
                f"{str(path)!r} holds no tokenizer; copy tokenizer.json, or vocab.json and "
                "merges.txt, of the model there."
            )
        return cls(ByteLevelBPETokenizer(str(vocabulary), str(merges))._tokenizer)

    def save(self, path: Path | str) -> None:
        """Writes the file that `from_directory` reads."""
        with atomic_write(Path(path) / "tokenizer.json") as temporary:
            temporary.write_text(self._backend.to_str(), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without start and end."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; special tokens are left out."""
        return self._backend.decode(list(ids))
