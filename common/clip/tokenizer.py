"""CLIP's tokenizer: its text cleaning in front of transformers' byte-pair encoding."""

import functools
import html
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import ftfy
import numpy as np

from common.bpe import UNLIMITED, require_rows
from common.clip.tokenizer_files import config_of, read_tokenizer
from common.errors import UserError
from common.files import atomic_write, write_json
from common.weights.fingerprint import text_digest

CLIP_LENGTH = 77


def mend(text: str) -> str:
    """Mend Unicode, unescape HTML twice, and leave single spaces."""
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split())


def clean(text: str) -> str:
    """Clean as CLIP does: `mend`, then lower case."""
    return mend(text).lower()


class Tokenizer:
    """Text to token ids.

    Attributes:
      bos: Id of the start token; None where texts begin with their first word.
      eos: Id of the end token.
      pad: Id that fills a sequence up.
      vocab_size: One more than the largest id.
      length: Positions of the text tower that it belongs to, as its files say; CLIP's are 77.
    """

    def __init__(self, tokenizer: Any):
        """Wrap a `transformers.CLIPTokenizer`."""
        self._tokenizer = tokenizer
        self.bos: int | None = tokenizer.bos_token_id
        self.eos: int = tokenizer.eos_token_id
        self.pad: int = tokenizer.pad_token_id
        self.vocab_size: int = max(tokenizer.get_vocab().values()) + 1
        longest = tokenizer.model_max_length
        self.length = longest if longest < UNLIMITED else CLIP_LENGTH

    @property
    def room(self) -> int:
        """Tokens of a text that fit, beside start and end."""
        return self.length - self.specials

    @property
    def specials(self) -> int:
        """Tokens that a packed text has beside its own: start, where there is one, and end."""
        return 1 if self.bos is None else 2

    @classmethod
    def from_directory(cls, path: Path | str, pad: int | None = None) -> "Tokenizer":
        """Read `tokenizer.json`, or `vocab.json` with `merges.txt`.

        Args:
          path: A directory.
          pad: Id that fills a sequence up, where it is not the one that the files name.

        Raises:
          UserError: The directory has neither, or they are damaged or of another kind.
        """
        return cls(read_tokenizer(Path(path), pad))

    def save(self, path: Path | str, length: int | None = None) -> None:
        """Write the files that `from_directory` and transformers read.

        Args:
          path: A directory.
          length: Of the longest text, in tokens; the tokenizer's own by default.
        """
        with atomic_write(Path(path) / "tokenizer.json") as temporary:
            text = self._tokenizer.backend_tokenizer.to_str(pretty=True)
            temporary.write_text(text, encoding="utf-8")
        write_json(Path(path) / "tokenizer_config.json", config_of(self._tokenizer, length))

    def require_rows(self, rows: int, directory: Path | str) -> None:
        """Check that a tower has a row for each id.

        Raises:
          UserError: It has `rows`, and some words have none; `directory` is the tokenizer's.
        """
        require_rows(self.vocab_size, rows, Path(directory), "text tower")

    def fit_into(self, positions: int) -> None:
        """Lower `length` to the positions of a text tower, where it has fewer."""
        self.length = min(self.length, positions)

    @cached_property
    def added_words(self) -> tuple[str, ...]:
        """Words that were added to the vocabulary, such as `<my-dog>`."""
        added = self._tokenizer.added_tokens_decoder.values()
        return tuple(str(token) for token in added if not token.special)

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex characters that change with any word, merge or rule of splitting."""
        rules = self._tokenizer.backend_tokenizer.to_str()
        return text_digest(f"{self.length} {rules}")

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text after CLIP's cleaning, without start and end."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once, each as `encode` does."""
        # The backend directly: the front end warns about lengths that `pack` checks.
        encode = self._tokenizer.backend_tokenizer.encode_batch
        encoded = encode([self._clean(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def _clean(self, text: str) -> str:
        """Clean a text around the added words that cleaning would change."""
        if self._unclean is None:
            return clean(text)
        parts = self._unclean.split(text)
        parts[::2] = map(clean, parts[::2])
        return " ".join(parts)

    @cached_property
    def _unclean(self) -> re.Pattern[str] | None:
        """A pattern of added words that are spelled in a way that cleaned texts are not."""
        words = [
            str(token)
            for token in self._tokenizer.added_tokens_decoder.values()
            # The backend itself sets normalised words in lower case.
            if clean(str(token)) != (str(token).lower() if token.normalized else str(token))
        ]
        longest_first = sorted(words, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if words else None

    def decode(self, token: int) -> str:
        """Return the text of one id."""
        return self._tokenizer.decode([token])

    def word(self, token: int) -> str:
        """Return an id in readable form: "dog", or "do-" for a piece that does not end a word."""
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
        """Return start, ids, end, and padding up to `length`: int32 [b, length].

        Args:
          sequences: Ids without start and end.
          length: Columns of the result; the tower's own positions by default.
          truncate: Cut what is too long and keep the end token, instead of an error.

        Raises:
          UserError: A sequence is too long.
        """
        length = length or self.length
        room, before = length - self.specials, [] if self.bos is None else [self.bos]
        packed = np.full((len(sequences), length), self.pad, np.int32)
        for row, ids in zip(packed, sequences, strict=True):
            if len(ids) > room and not truncate:
                start = self._tokenizer.decode(list(ids[:12]))
                raise UserError(
                    f"the text {start + '...'!r} has {len(ids)} tokens, {room} fit; "
                    "shorten it or allow truncation."
                )
            whole = [*before, *ids[:room], self.eos]
            row[: len(whole)] = whole
        return packed

    def __call__(
        self, texts: Sequence[str], length: int | None = None, truncate: bool = False
    ) -> np.ndarray:
        """Clean, encode and pack texts: int32 [b, length].

        Raises:
          UserError: A text is too long.
        """
        return self.pack(self.encode_all(texts), length, truncate)
