"""Token embeddings of prompts that may hold learned words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from common.clip import Tokenizer
from common.diffusion.words import find_words
from common.errors import UserError
from common.text import shortened


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What prompts are made of: a text tower's tokens, and learned words.

    Attributes:
      tokenizer: Of the text tower.
      table: Its token embeddings.
      words: Learned vectors `[n, d]` by word; see `find_words`.
      others: Words in brackets that the tokenizer knows itself.
    """

    tokenizer: Tokenizer
    table: Float[np.ndarray, "v d"]
    words: Mapping[str, np.ndarray]
    others: Collection[str] = ()

    @property
    def room(self) -> int:
        """Tokens between the start and the end of a text."""
        return self.tokenizer.room

    def pieces(self, text: str) -> Iterator["Piece"]:
        """Yield the tokens and the learned words of a text.

        Raises:
          UserError: A word in brackets is not among `words`, or its vectors are of another width
            than the table.
        """
        end = 0
        for match in find_words(text, self.words, self.others):
            yield from self._tokens(text[end : match.start])
            yield Piece(self._vectors(match.word), word=match.word)
            end = match.end
        yield from self._tokens(text[end:])

    def framed(self, pieces: Sequence["Piece"]) -> Float[np.ndarray, "s d"]:
        """Return the embeddings of pieces between the start and the end, padded."""
        empty = self.table[self.tokenizer.pack([()])[0]].astype(np.float32)
        vectors = [piece.vectors for piece in pieces]
        left = len(empty) - sum(map(len, vectors))
        return np.concatenate([empty[:1], *vectors, empty[1:left]])

    def framed_ids(self, pieces: Sequence["Piece"]) -> Int[np.ndarray, "s"]:
        """Return the ids of what `framed` embeds; 0 for learned words."""
        ids = self.tokenizer.pack([()])[0]
        inside = [i for piece in pieces for i in [piece.token or 0] * len(piece.vectors)]
        return np.array([ids[0], *inside, *ids[1 : len(ids) - len(inside)]], np.int32)

    def embedded(self, text: str) -> Float[np.ndarray, "s d"]:
        """Return the embeddings of a prompt, padded; see `fitting`."""
        return self.framed(self.fitting(text))

    def fitting(self, text: str, remedy: str = "shorten it") -> list["Piece"]:
        """Return the pieces of a prompt that fits.

        Args:
          text: Such as "a photo of <dog2> on the beach".
          remedy: Ends the sentence about a prompt that is too long.

        Raises:
          UserError: The prompt is too long; or see `pieces`.
        """
        pieces = list(self.pieces(text))
        count = sum(len(piece.vectors) for piece in pieces)
        learned = sum(len(piece.vectors) for piece in pieces if piece.word)
        if count > self.room:
            note = f", {learned} of them learned" if learned else ""
            raise UserError(
                f"the prompt {shortened(text, 60)!r} has {count} "
                f"tokens{note}, and {self.room} fit: {remedy}."
            )
        return pieces

    def _tokens(self, text: str) -> Iterator["Piece"]:
        for token in self.tokenizer.encode(text):
            yield Piece(self.table[[token]].astype(np.float32), token)

    def _vectors(self, word: str) -> Float[np.ndarray, "n d"]:
        vectors, width = self.words[word], self.table.shape[1]
        if vectors.shape[1] != width:
            raise UserError(
                f"the vectors of {word} are {vectors.shape[1]} wide, and this text tower "
                f"takes vectors {width} wide: use tokens of the same base model."
            )
        return vectors


@dataclass(frozen=True, eq=False)
class Piece:
    """A token, or a learned word, whose vectors stay together.

    Attributes:
      vectors: Its embeddings.
      token: The token's id; None for a learned word.
      word: The learned word; empty for a token.
      weight: In a weighted prompt.
    """

    vectors: Float[np.ndarray, "n d"]
    token: int | None = None
    word: str = ""
    weight: float = 1.0
