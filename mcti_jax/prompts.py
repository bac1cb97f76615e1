"""Prompts with a slot for a learned token, tokenised once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.checks import check_choice
from common.clip.tokenizer import Tokenizer
from common.errors import UserError
from mcti_jax.words import find_words

POOLS = ("placeholder", "eos")


@dataclass(frozen=True)
class Prompts:
    """Templates in token ids, with the place where each takes the learned vectors.

    The slot holds ids past the vocabulary, as a tokenizer with added words would give them;
    those ids are never looked up, the learned vectors take their place.

    Attributes:
      ids: token ids, `[t, s]`.
      slot: position of the first learned vector, `[t]`.
      end: position of the end-of-text token, `[t]`.
      vectors: learned vectors per class, n.
    """

    ids: np.ndarray
    slot: np.ndarray
    end: np.ndarray
    vectors: int

    @classmethod
    def from_templates(
        cls, tokenizer: Tokenizer, templates: Sequence[str], vectors: int = 1
    ) -> "Prompts":
        """Tokenise templates such as "a photo of a {}", joining all n vectors at the slot."""
        placeholder = list(range(tokenizer.vocab_size, tokenizer.vocab_size + vectors))
        rows, slots, ends = [], [], []
        for template in templates:
            if template.count("{}") != 1:
                raise UserError(f"the template {template!r} needs one {{}} for the token.")
            before, after = (tokenizer.encode(part) for part in template.split("{}"))
            rows.append(before + placeholder + after)
            slots.append(1 + len(before))
            ends.append(1 + len(rows[-1]))
        return cls(tokenizer.pack(rows), np.array(slots), np.array(ends), vectors)

    def pool_at(self, how: str) -> np.ndarray:
        """Return positions `[t]` of the class feature.

        "placeholder" is what the reference code does: its text encoder pools at the largest
        id, and an added word's id is larger than end-of-text. "eos" is CLIP's definition.
        """
        table = {"placeholder": self.slot + self.vectors - 1, "eos": self.end}
        check_choice("pool", how, table)
        return table[how]

    def cut(self) -> "Prompts":
        """Cut off the prompts' padding: exact for a causal tower that is pooled."""
        return Prompts(self.ids[:, : self.end.max() + 1], self.slot, self.end, self.vectors)


def insert(
    embedded: Float[Array, "b s d"], slot: Int[Array, "b"], vectors: Float[Array, "b n d"]
) -> Float[Array, "b s d"]:
    """Put n vectors into each sequence of token embeddings, beginning at `slot`."""
    offset = jnp.arange(embedded.shape[1]) - slot[:, None]
    inside = (offset >= 0) & (offset < vectors.shape[1])
    index = jnp.clip(offset, 0, vectors.shape[1] - 1)
    chosen = jnp.take_along_axis(vectors, index[..., None], axis=1)
    return jnp.where(inside[..., None], chosen.astype(embedded.dtype), embedded)


def embed_prompt(
    tokenizer: Tokenizer,
    table: Float[np.ndarray, "v d"],
    text: str,
    words: Mapping[str, np.ndarray],
    others: Collection[str] = (),
) -> Float[np.ndarray, "s d"]:
    """Return token embeddings of a prompt that may hold learned words anywhere, padded.

    Args:
      tokenizer: of the text tower.
      table: its token embeddings.
      text: such as "a photo of <dog2> on the beach".
      words: learned vectors `[n d]` by word; see `find_words`.
      others: words in brackets that the tokenizer knows itself.

    Raises:
      UserError: a word in brackets is not among `words`, its vectors are of another width than
        the table, or the prompt is too long.
    """
    ids: list[int] = []
    learned: list[np.ndarray] = []
    end = 0
    for found in find_words(text, words, others):
        vectors = words[found.word]
        if vectors.shape[1] != table.shape[1]:
            raise UserError(
                f"the vectors of {found.word} are {vectors.shape[1]} wide, and this text tower "
                f"takes vectors {table.shape[1]} wide: use tokens of the same base model."
            )
        ids += tokenizer.encode(text[end : found.start])
        ids += range(len(table) + len(learned), len(table) + len(learned) + len(vectors))
        learned += list(vectors)
        end = found.end
    ids += tokenizer.encode(text[end:])
    if len(ids) > tokenizer.length - 2:
        own = f", {len(learned)} of them learned" if learned else ""
        raise UserError(
            f"the prompt {text if len(text) < 60 else text[:57] + '...'!r} has {len(ids)} "
            f"tokens{own}, and {tokenizer.length - 2} fit: shorten it."
        )
    packed = tokenizer.pack([ids])[0]
    extended = np.concatenate([table, np.asarray(learned).reshape(-1, table.shape[1])])
    return extended[packed]
