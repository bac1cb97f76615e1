"""What the UNet embeds beside latents and text: the time, and in XL a pooled text and sizes."""

import flax.linen as nn
import flax.struct
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Real

from common.trees import Leaf


@flax.struct.dataclass
class AddedConditions:
    """What XL embeds beside the time; the fields carry diffusers' names.

    Attributes:
      text_embeds: The pooled and projected states of the second text encoder.
      time_ids: Height and width of the original picture, top and left of the corner that was cut
        out, height and width of the picture to draw; in pixels.
    """

    text_embeds: Leaf
    time_ids: Leaf


def sinusoids(timesteps: Real[Array, "b"], width: int) -> Float[Array, "b {width}"]:
    """Return cosines, then sines, of the time at geometrically spaced frequencies; float32."""
    half = width // 2
    frequencies = jnp.exp(-jnp.log(10000.0) * jnp.arange(half, dtype=jnp.float32) / half)
    angles = timesteps.astype(jnp.float32)[:, None] * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class AddedEmbedding(nn.Module):
    """Two linear maps of the pooled text and the sinusoids of the sizes.

    Attributes:
      features: Of the result, which is added to the embedded time.
      sinusoids: Of each size.
      dtype: Of activations and matrix products.
    """

    features: int
    sinusoids: int
    dtype: DTypeLike

    @nn.compact
    def __call__(self, added: AddedConditions) -> Float[Array, "b t"]:
        """Return what is added to the embedded time."""
        ids = added.time_ids
        sizes = sinusoids(ids.reshape(-1), self.sinusoids).reshape(len(ids), -1)
        pooled = added.text_embeds.astype(jnp.float32)
        x = jnp.concatenate([pooled, sizes], axis=-1).astype(self.dtype)
        x = nn.silu(nn.Dense(self.features, dtype=self.dtype, name="linear_1")(x))
        return nn.Dense(self.features, dtype=self.dtype, name="linear_2")(x)
