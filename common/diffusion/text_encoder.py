"""The text encoders of a Stable Diffusion: one in 1.x and 2.x, two in XL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from common.clip.text import TextOutput, TextTower
from common.trees import Leaf, Params


@dataclass(frozen=True)
class TextPart:
    """What belongs to a text encoder, by name.

    Attributes:
      params: Its key in `StableDiffusion.params`.
      folder: Of its weights, in diffusers' layout.
      tokenizer: Folder of its tokenizer, likewise.
      vectors: Key of its vectors in files of learned words for XL.
    """

    params: str
    folder: str
    tokenizer: str
    vectors: str


FIRST = TextPart("text", "text_encoder", "tokenizer", "clip_l")
SECOND = TextPart("text_2", "text_encoder_2", "tokenizer_2", "clip_g")


@flax.struct.dataclass
class TextConditions:
    """What the UNet is conditioned on by texts.

    Attributes:
      states: At all positions; of several encoders behind each other along the channels.
      pooled: The projected state at the end of the text, of the last encoder; None without one.
    """

    states: Leaf
    pooled: Leaf = None


@dataclass(frozen=True)
class TextEncoder:
    """A text tower and which of its states the UNet attends to; static under `jax.jit`.

    Attributes:
      part: What belongs to it.
      tower: Its network.
      penultimate: Whether the UNet attends to the states before the last block, without the final
        norm, as in XL, and not to the last ones.
    """

    part: TextPart
    tower: TextTower
    penultimate: bool = False

    def __call__(
        self, params: Params, embedded: Float[Array, "b s d"], ends: Int[Array, " b"]
    ) -> TextConditions:
        """Encode token embeddings.

        Args:
          params: `StableDiffusion.params`.
          embedded: Without positions.
          ends: Position of the end token in each row, where a tower with a projection pools.
        """
        output = self.tower.apply({"params": params[self.part.params]}, embedded, ends)
        return TextConditions(self.states(output), output.projected)

    def states(self, output: TextOutput) -> Float[Array, "b s d"]:
        """Return the states that the UNet attends to, of what the tower gives."""
        return output.hidden_states[-2] if self.penultimate else output.last_hidden_state


def encode_texts(
    encoders: Sequence[TextEncoder],
    params: Params,
    embedded: Mapping[str, Float[Array, "b s d"]],
    ends: Mapping[str, Int[Array, " b"]],
) -> TextConditions:
    """Encode token embeddings by all encoders of a model; differentiable.

    Args:
      encoders: `StableDiffusion.modules.text_encoders`.
      params: `StableDiffusion.params`; of it only those of the text encoders are read.
      embedded: Without positions, by the encoders' keys in `params`.
      ends: Positions of the end tokens, likewise.
    """
    names = [encoder.part.params for encoder in encoders]
    return joined(
        [
            encoder(params, embedded[name], ends[name])
            for encoder, name in zip(encoders, names, strict=True)
        ]
    )


def joined(
    conditions: Sequence[TextConditions], concatenate: Callable[..., Array] = jnp.concatenate
) -> TextConditions:
    """Return the conditions of several encoders as one; `concatenate` is NumPy's or JAX's."""
    states = [one.states for one in conditions]
    whole = states[0] if len(states) == 1 else concatenate(states, axis=-1)
    return TextConditions(whole, conditions[-1].pooled)
