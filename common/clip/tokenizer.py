"""CLIP's tokenizer: its text cleaning in front of transformers' byte-pair encoding."""

import functools
import hashlib
import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ftfy
import numpy as np

from common.errors import UserError

CLIP_LENGTH = 77


def clean(text: str) -> str:
    """CLIP's cleaning: broken Unicode mended, HTML unescaped twice, white space, lower case."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


class Tokenizer:
    """Text to token ids.

    Attributes:
      bos: Id of the start token.
      eos: Id of the end token.
      pad: Id that fills a sequence up.
      vocab_size: Number of ids.
      length: Positions of the text tower that it belongs to, as its files say; CLIP's are 77.
    """

    def __init__(self, tokenizer: Any):
        """Wraps a `transformers.CLIPTokenizer`."""
        self._tokenizer = tokenizer
        self.bos: int = tokenizer.bos_token_id
        self.eos: int = tokenizer.eos_token_id
        self.pad: int = tokenizer.pad_token_id
        self.vocab_size = len(tokenizer)
        # Files that name no length are read as "practically unlimited".
        self.length = min(tokenizer.model_max_length, CLIP_LENGTH)

    @classmethod
    def from_directory(cls, path: Path | str) -> "Tokenizer":
        """Reads `tokenizer.json`, or `vocab.json` with `merges.txt`.

        Raises:
          UserError: The directory has neither.
        """
        # Without PyTorch, which nothing here needs, transformers would say so at every start.
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        # Importing transformers takes a second that commands without text need not spend.
        from transformers import CLIPTokenizer

        path = Path(path)
        complete = (("tokenizer.json",), ("vocab.json", "merges.txt"))
        if not any(all((path / name).is_file() for name in names) for names in complete):
            raise UserError(
                f"{str(path)!r} holds no tokenizer; copy tokenizer.json, or vocab.json and "
                "merges.txt, of the model there."
            )
        return cls(CLIPTokenizer.from_pretrained(str(path)))

    def save(self, path: Path | str) -> None:
        """Writes the files that `from_directory` reads."""
        self._tokenizer.save_pretrained(str(path))

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex characters that change with any word, merge or rule of splitting."""
        rules = self._tokenizer.backend_tokenizer.to_str()
        return hashlib.sha256(f"{self.length} {rules}".encode()).hexdigest()[:16]

    def encode(self, text: str) -> list[int]:
        """Ids of one text after CLIP's cleaning, without start and end."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, for many texts at once."""
        # The backend directly: the front end logs about lengths that `pack` deals with.
        encode = self._tokenizer.backend_tokenizer.encode_batch
        encoded = encode([clean(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def decode(self, token: int) -> str:
        """The text of one id."""
        return self._tokenizer.decode([token])

    def word(self, token: int) -> str:
        """One id for people: "dog", or "do-" for a piece that more of a word follows."""
        piece = self._tokenizer.convert_ids_to_tokens(token)
        if piece in self._tokenizer.get_added_vocab():
            return piece
        text = self.decode(token).strip()
        if not text or "\N{REPLACEMENT CHARACTER}" in text:  # a part of a letter, or white space
            text = piece.removesuffix("</w>")
        return text if piece.endswith("</w>") else f"{text}-"

    def pack(
        self, sequences: Sequence[Sequence[int]], length: int | None = None, truncate: bool = False
    ) -> np.ndarray:
        """Start, ids, end, and padding up to `length`: int32 [b, length].

        Args:
          sequences: Ids without start and end.
          length: Columns of the result; the tower's own positions by default.
          truncate: Cut what is too long and keep the end token, instead of an error.

        Raises:
          UserError: A sequence is too long.
        """
        length = length or self.length
        packed = np.full((len(sequences), length), self.pad, np.int32)
        for row, ids in zip(packed, sequences, strict=True):
            if len(ids) > length - 2 and not truncate:
                start = self._tokenizer.decode(list(ids[:12]))
                raise UserError(
                    f"the text {start + '...'!r} has {len(ids)} tokens, {length - 2} fit; "
                    "shorten it or allow truncation."
                )
            kept = list(ids[: length - 2])
            row[: len(kept) + 2] = [self.bos, *kept, self.eos]
        return packed

    def __call__(
        self, texts: Sequence[str], length: int | None = None, truncate: bool = False
    ) -> np.ndarray:
        """Cleans, encodes and packs texts: int32 [b, length].

        Raises:
          UserError: A text is too long.
        """
        return self.pack(self.encode_all(texts), length, truncate)
