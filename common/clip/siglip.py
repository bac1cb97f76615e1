"""SigLIP's image tower (arXiv 2303.15343): a vision transformer with attention for its pooling."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.clip.config import SigLIPViTConfig
from common.clip.layers import Attention, LayerNorm, Mlp
from common.clip.outputs import ImageOutput, check_size
from common.clip.vit import PatchTower, patch_convolution, residual_blocks


class PoolingHead(nn.Module):
    """A learned vector attends to all patches; an MLP beside a shortcut follows."""

    config: SigLIPViTConfig
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, patches: Float[Array, "b s d"]) -> Float[Array, "b d"]:
        """Pool a sequence."""
        c = self.config
        probe = self.param("probe", nn.initializers.xavier_uniform(), (1, 1, c.width))
        probe = jnp.broadcast_to(probe.astype(self.dtype), (len(patches), 1, c.width))
        attention = Attention(c.heads, causal=False, dtype=self.dtype, name="attention")
        x = attention(probe, patches)
        mlp = Mlp(c.mlp_width, c.activation, self.dtype, name="mlp")
        return (x + mlp(LayerNorm(c.eps, self.dtype, name="norm")(x)))[:, 0]


class SigLIPViT(PatchTower):
    """Patches through residual attention blocks; `ImageOutput.grid` is what the head pools."""

    config: SigLIPViTConfig

    def setup(self) -> None:
        """Name the parameters; the other methods follow in the order of computation."""
        c = self.config
        self.patch_embedding = patch_convolution(c, self.dtype, use_bias=True)
        normal, positions = nn.initializers.normal(c.width**-0.5), (self.side**2, c.width)
        self.position_embedding = self.param("position_embedding", normal, positions)
        self.block = residual_blocks(c, self.dtype)
        self.post_norm = LayerNorm(c.eps, self.dtype)
        self.head = PoolingHead(c, self.dtype)

    def embed(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b s d"]:
        """Return the input of the first block: patches with their positions.

        Raises:
          ValueError: The images have another size than the configured one.
        """
        check_size(pixels, self.config.image_size)
        patches = self.patch_embedding(pixels)
        x = patches.reshape(len(patches), -1, patches.shape[-1])
        return (x + self.position_embedding).astype(self.dtype)

    def finish(self, hidden_states: tuple[Float[Array, "b s d"], ...]) -> ImageOutput:
        """Apply the last layer norm and the head, which has no projection behind it."""
        last = self.post_norm(hidden_states[-1])
        features = self.head(last)
        grid = last.reshape(len(last), self.side, self.side, -1)
        return ImageOutput(features, features, grid, hidden_states)
