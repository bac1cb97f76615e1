"""GPT-2's byte-level tokenizer, from the files that are published with a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.bpe import read_vocabulary, refusing_damage, require_numbers, require_rows
from common.files import atomic_write
from common.sizes import require

# Where words end: as in GPT-2, which the models of this project share.
_SPLITS = {"type": ("ByteLevel",), "add_prefix_space": (False,), "use_regex": (True,)}


class LMTokenizer:
    """Text to token ids and back; case and white space stay as they are.

    Attributes:
      vocab_size: One more than the largest id.
      end: Id of `END`, the token that ends a text; None where the vocabulary has none.
    """

    END = "<|endoftext|>"

    def __init__(self, backend: Any):
        """Wrap a `tokenizers.Tokenizer`."""
        self._backend = backend
        self.vocab_size: int = max(backend.get_vocab().values()) + 1
        self.end: int | None = backend.token_to_id(self.END)

    @classmethod
    def from_directory(cls, path: Path | str) -> "LMTokenizer":
        """Read `tokenizer.json`, or `vocab.json` with `merges.txt`.

        Raises:
          UserError: The directory has neither, or they are damaged or of another kind.
        """
        path = Path(path)
        vocabulary = read_vocabulary(path, suffix="")
        require(vocabulary.settings, {"normalizer": ()})
        splits = vocabulary.settings.record("pre_tokenizer", default={})
        require(splits, _SPLITS)
        # Commands without text need not load it.
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

        with refusing_damage(path):
            backend = Tokenizer(models.BPE(dict(vocabulary.ids), list(vocabulary.merges)))
            # Nothing else of a file is taken over: it could cut texts, or match them for hours.
            backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            backend.decoder = decoders.ByteLevel()
            words = [AddedToken(word.content, **word.flags) for word in vocabulary.added]
            backend.add_tokens(words)
            numbers = [backend.token_to_id(word.content) for word in vocabulary.added]
        require_numbers(vocabulary.added, numbers, path)
        return cls(backend)

    def require_rows(self, rows: int, directory: Path | str) -> None:
        """Check that a model has a row for each id.

        Raises:
          UserError: It has `rows`, and some words have none; `directory` is the tokenizer's.
        """
        require_rows(self.vocab_size, rows, Path(directory), "model")

    def save(self, path: Path | str) -> None:
        """Write the file that `from_directory` reads."""
        with atomic_write(Path(path) / "tokenizer.json") as temporary:
            temporary.write_text(self._backend.to_str(), encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without start and end."""
        return self._backend.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of some ids; special tokens are left out."""
        return self._backend.decode(list(ids))
