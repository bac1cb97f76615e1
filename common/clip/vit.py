"""Vision transformers: what those of all families share, and CLIP's (arXiv 2103.00020, 2.4)."""

import jax.numpy as jnp
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from common.clip.config import ViTConfig
from common.clip.layers import Block, LayerNorm
from common.clip.outputs import ImageOutput, check_size


def patch_convolution(c: ViTConfig, dtype: DTypeLike, *, use_bias: bool) -> nn.Conv:
    """Return the convolution that makes a vector of each patch."""
    return nn.Conv(
        c.width,
        kernel_size=(c.patch_size, c.patch_size),
        strides=c.patch_size,
        padding="VALID",
        use_bias=use_bias,
        dtype=dtype,
    )


def residual_blocks(c: ViTConfig, dtype: DTypeLike) -> list[Block]:
    """Return a tower's blocks; linen names the entries of such a list block_0, block_1, ..."""
    return [
        Block(c.heads, c.mlp_width, c.activation, c.eps, causal=False, dtype=dtype)
        for _ in range(c.layers)
    ]


class PatchTower(nn.Module):
    """An image in patches through residual attention blocks.

    `__call__` is `embed`, then the blocks in turn, then `finish`; a method that changes the
    sequence between the blocks composes these itself.

    Attributes:
      config: Sizes.
      dtype: Of the activations; layer norms and softmax compute in float32.
    """

    config: ViTConfig
    dtype: DTypeLike = jnp.float32

    def __call__(self, pixels: Float[Array, "b h w 3"]) -> ImageOutput:
        """Encode normalised images of the configured size.

        Raises:
          ValueError: The images have another size.
        """
        states = [self.embed(pixels)]
        for block in self.block:
            states.append(block(states[-1]))
        return self.finish(tuple(states))

    @property
    def side(self) -> int:
        """Patches along each side of an image."""
        return self.config.image_size // self.config.patch_size


class ViT(PatchTower):
    """Patches and a class token through residual attention blocks."""

    def setup(self) -> None:
        """Name the parameters; the other methods follow in the order of computation."""
        c = self.config
        normal = nn.initializers.normal(c.width**-0.5)
        self.patch_embedding = patch_convolution(c, self.dtype, use_bias=False)
        self.class_embedding = self.param("class_embedding", normal, (c.width,))
        positions = (1 + self.side**2, c.width)
        self.position_embedding = self.param("position_embedding", normal, positions)
        self.pre_norm = LayerNorm(c.eps, self.dtype)
        self.block = residual_blocks(c, self.dtype)
        self.post_norm = LayerNorm(c.eps, self.dtype)
        self.projection = nn.Dense(c.projection, use_bias=False, dtype=self.dtype)

    def embed(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b s d"]:
        """Return the input of the first block.

        Raises:
          ValueError: The images have another size than the configured one.
        """
        return self.pre_norm(self.place(pixels))

    def place(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b s d"]:
        """Return class token and patches, with their positions."""
        check_size(pixels, self.config.image_size)
        patches = self.patch_embedding(pixels)
        batch, rows, columns, width = patches.shape
        class_token = self.class_embedding.astype(self.dtype)
        x = jnp.concatenate(
            [
                jnp.broadcast_to(class_token, (batch, 1, width)),
                patches.reshape(batch, rows * columns, width),
            ],
            axis=1,
        )
        return (x + self.position_embedding).astype(self.dtype)

    def finish(self, hidden_states: tuple[Float[Array, "b s d"], ...]) -> ImageOutput:
        """Apply the last layer norm to the class token, and the projection."""
        last = hidden_states[-1]
        pooled = self.post_norm(last[:, 0])
        grid = last[:, 1:].reshape(len(last), self.side, self.side, -1)
        return ImageOutput(self.projection(pooled), pooled, grid, hidden_states)
