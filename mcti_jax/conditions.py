"""What prompts with learned vectors condition the U-Net on."""

from collections.abc import Sequence
from typing import Any

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from common.clip.text import TextOutput, TextTower
from common.diffusion.added import AddedConditions
from common.diffusion.text_encoder import TextConditions, joined
from mcti_jax.networks import Networks
from mcti_jax.prompts import insert


@flax.struct.dataclass
class EmbeddedPrompts:
    """Prompts after the embedding table: what the text towers start from.

    Attributes:
      embedded: `[t s d]`.
      slot: `[t]`, where the learned vectors go.
      pool_at: `[t]`, where the class feature is read.
      end: `[t]`, where XL's U-Net has its pooled text from.
    """

    embedded: Any
    slot: Any
    pool_at: Any
    end: Any


def read_prompts(
    tower: TextTower,
    params: PyTree,
    prompts: EmbeddedPrompts,
    template: Int[Array, "b"],
    vectors: Float[Array, "b n d"],
) -> TextOutput:
    """Run the text tower on prompts that hold the given vectors."""
    filled = insert(prompts.embedded[template], prompts.slot[template], vectors)
    return tower.apply({"params": params}, filled, prompts.pool_at[template])


def conditions_of(
    networks: Networks,
    frozen: PyTree,
    outputs: Sequence[TextOutput],
    template: Int[Array, "b"],
    latent: tuple[int, int],
) -> tuple[Float[Array, "b s d"], AddedConditions | None]:
    """Return the text states of prompts, and what XL is conditioned on besides.

    Args:
      networks: Modules.
      frozen: `params` of the networks, `prompts`.
      outputs: Of each text encoder.
      template: Which prompt each row is.
      latent: Height and width of the latents.
    """
    parts = []
    for encoder, prompts, output in zip(networks.text, frozen["prompts"], outputs, strict=True):
        pooled = None
        if encoder.tower.config.projection is not None:
            # The class feature may be read at the token; the U-Net was trained on the text's end.
            params = {"params": frozen["params"][encoder.part.params]}
            ends = output.hidden_states, prompts.end[template]
            pooled = encoder.tower.apply(params, *ends, method="finish").projected
        parts.append(TextConditions(encoder.states(output), pooled))
    conditions = joined(parts)
    if conditions.pooled is None:
        return conditions.states, None
    # As pictures are drawn, here and by diffusers' pipeline: of this size, with nothing cut off.
    # diffusers' script of textual inversion gives the photo's own size in the first two places.
    height, width = (side * networks.downsampling for side in latent)
    sizes = jnp.array([height, width, 0, 0, height, width], jnp.float32)
    sizes = jnp.broadcast_to(sizes, (len(template), sizes.size))
    return conditions.states, AddedConditions(conditions.pooled, sizes)
