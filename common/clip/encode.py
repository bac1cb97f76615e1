"""CLIP's features as pure functions, and the towers that make them."""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from common.clip.config import CLIPConfig
from common.clip.families import family_of
from common.clip.outputs import ImageTower
from common.clip.text import TextTower
from common.trees import Params


def image_tower(config: CLIPConfig, dtype: DTypeLike = jnp.float32) -> ImageTower:
    """Return the image tower that a configuration describes."""
    return family_of(config).image_tower(config.vision, dtype)


def unit(x: Float[Array, "*b p"]) -> Float[Array, "*b p"]:
    """Scale each row to unit length, in float32."""
    x = x.astype(jnp.float32)
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def encode_text(
    tower: TextTower, params: Params, ids: Int[Array, "b s"], pool: str | None = None
) -> Float[Array, "b p"]:
    """Return text features in the shared space, not normalised.

    Pure; under `jax.jit`, `tower` and `pool` are static.

    Args:
      tower: `clip.text_tower`.
      params: `clip.params["text"]`.
      ids: As the tokenizer packs them; columns after every end token may be cut off.
      pool: A `how` of `pool_positions`; None for the one that the weights imply.
    """
    at = tower.pool_at(ids, pool)
    embeddings = tower.apply({"params": params}, ids, method="embed")
    return tower.apply({"params": params}, embeddings, at).projected


def encode_image(
    tower: ImageTower, params: Params, pixels: Float[Array, "b h w 3"]
) -> Float[Array, "b p"]:
    """Return image features in the shared space, not normalised.

    Pure; under `jax.jit`, `tower` is static.

    Args:
      tower: `clip.image_tower`.
      params: `clip.params["vision"]`.
      pixels: As `clip.preprocess` makes them.
    """
    return tower.apply({"params": params}, pixels).features
