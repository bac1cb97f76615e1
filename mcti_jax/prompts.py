"""Prompts with a slot for a learned token, tokenised once."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.choices import check_choice
from common.clip.tokenizer import Tokenizer
from common.errors import UserError

POOLS = ("placeholder", "eos")


@dataclass(frozen=True)
class Prompts:
    """Templates in token ids, with the place where each takes the learned vectors.

    The slot holds ids past the vocabulary, as a tokenizer with added words would give them;
    those ids are never looked up, the learned vectors take their place.

    Attributes:
      ids: Token ids, `[t, s]`.
      slot: Position of the first learned vector, `[t]`.
      end: Position of the end-of-text token, `[t]`.
      vectors: Learned vectors per class, n.
    """

    ids: np.ndarray
    slot: np.ndarray
    end: np.ndarray
    vectors: int

    @classmethod
    def from_templates(
        cls,
        tokenizer: Tokenizer,
        templates: Sequence[str],
        vectors: int = 1,
        *,
        truncate: bool = False,
    ) -> "Prompts":
        """Tokenise templates such as "a photo of a {}", joining all n vectors at the slot.

        Args:
          tokenizer: Of the text tower.
          templates: With one `{}` each.
          vectors: n.
          truncate: Cut what is too long, instead of an error; the vectors are never cut.

        Raises:
          UserError: A template has no slot or several, or is too long.
        """
        placeholder = list(range(tokenizer.vocab_size, tokenizer.vocab_size + vectors))
        rows, slots, ends = [], [], []
        for template in templates:
            if template.count("{}") != 1:
                raise UserError(f"the template {template!r} needs one {{}} for the token.")
            before, after = (tokenizer.encode(part) for part in template.split("{}"))
            room = tokenizer.room - len(before) - vectors if truncate else len(after)
            rows.append(before + placeholder + after[: max(room, 0)])
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
