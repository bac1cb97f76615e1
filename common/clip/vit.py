"""CLIP's vision transformer (arXiv 2103.00020, 2.4)."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from common.clip.config import ViTConfig
from common.clip.layers import Block, LayerNorm
from common.clip.outputs import ImageOutput, check_size


class ViT(nn.Module):
    """Patches and a class token through residual attention blocks.

    Attributes:
      config: Sizes.
      dtype: Of the activations; layer norms and softmax compute in float32.
    """

    config: ViTConfig
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w 3"]) -> ImageOutput:
        """Encode normalised images of the configured size.

        Raises:
          ValueError: The images have another size.
        """
        c = self.config
        check_size(pixels, c.image_size)
        normal = nn.initializers.normal(c.width**-0.5)
        patches = nn.Conv(
            c.width,
            kernel_size=(c.patch_size, c.patch_size),
            strides=c.patch_size,
            padding="VALID",
            use_bias=False,
            dtype=self.dtype,
            name="patch_embedding",
        )(pixels)
        batch, rows, columns, width = patches.shape
        class_token = self.param("class_embedding", normal, (width,)).astype(self.dtype)
        positions = self.param("position_embedding", normal, (1 + rows * columns, width))
        x = jnp.concatenate(
            [
                jnp.broadcast_to(class_token, (batch, 1, width)),
                patches.reshape(batch, rows * columns, width),
            ],
            axis=1,
        )
        x = LayerNorm(c.eps, self.dtype, name="pre_norm")((x + positions).astype(self.dtype))

        shape = (c.heads, c.mlp_width, c.activation, c.eps)
        states = [x]
        for i in range(c.layers):
            block = Block(*shape, causal=False, dtype=self.dtype, name=f"block_{i}")
            states.append(block(states[-1]))

        pooled = LayerNorm(c.eps, self.dtype, name="post_norm")(states[-1][:, 0])
        project = nn.Dense(c.projection, use_bias=False, dtype=self.dtype, name="projection")
        grid = states[-1][:, 1:].reshape(batch, rows, columns, width)
        return ImageOutput(project(pooled), pooled, grid, tuple(states))
