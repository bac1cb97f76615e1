"""A loaded CLIP: configuration, weights, tokenizer, preprocessing."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from common.clip.config import CLIPConfig, ResNetConfig
from common.clip.preprocess import Preprocess
from common.clip.resnet import ModifiedResNet
from common.clip.text import TextTower, pool_positions
from common.clip.tokenizer import Tokenizer
from common.clip.vit import ViT


@dataclass(frozen=True)
class CLIP:
    """What `load_clip` gives.

    Attributes:
      config: Sizes of both towers.
      params: `{"text": ..., "vision": ..., "logit_scale": ...}`, arrays on the host; the scale
        is a logarithm. Put them on devices once (`jax.device_put`), pass them as arguments.
      tokenizer: Text to ids.
      preprocess: PIL image to pixels.
      fingerprint: Names these weights in caches and results.
      dtype: Of the weights and activations.
    """

    config: CLIPConfig
    params: dict[str, Any]
    tokenizer: Tokenizer
    preprocess: Preprocess
    fingerprint: str
    dtype: Any = jnp.float32

    @property
    def text_tower(self) -> TextTower:
        """The text tower's module; its weights are `params["text"]`."""
        return TextTower(self.config.text, self.dtype)

    @property
    def image_tower(self) -> ViT | ModifiedResNet:
        """The image tower's module; its weights are `params["vision"]`."""
        return image_tower(self.config, self.dtype)


def image_tower(config: CLIPConfig, dtype: Any = jnp.float32) -> ViT | ModifiedResNet:
    """The image tower that a configuration describes."""
    if isinstance(config.vision, ResNetConfig):
        return ModifiedResNet(config.vision, dtype)
    return ViT(config.vision, dtype)


def encode_text(
    tower: TextTower, params: dict[str, Any], ids: Int[Array, "b s"], pool: str | None = None
) -> Float[Array, "b p"]:
    """Text features in the shared space, not normalised.

    Pure; under `jax.jit`, `tower` and `pool` are static.

    Args:
      tower: `clip.text_tower`.
      params: `clip.params["text"]`.
      ids: As the tokenizer packs them; columns after every end token may be cut off.
      pool: A `how` of `pool_positions`; None for the one that the weights imply.
    """
    at = pool_positions(ids, pool or tower.config.pool, tower.config.eos)
    embeddings = tower.apply({"params": params}, ids, method="embed")
    return tower.apply({"params": params}, embeddings, at).projected


def encode_image(
    tower: ViT | ModifiedResNet, params: dict[str, Any], pixels: Float[Array, "b h w 3"]
) -> Float[Array, "b p"]:
    """Image features in the shared space, not normalised.

    Pure; under `jax.jit`, `tower` is static.

    Args:
      tower: `clip.image_tower`.
      params: `clip.params["vision"]`.
      pixels: As `clip.preprocess` makes them.
    """
    return tower.apply({"params": params}, pixels).features
