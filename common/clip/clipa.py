"""CLIPA's image tower (arXiv 2305.07017): the mean of the patches in the class token's place."""

from flax import linen as nn
from jaxtyping import Array, Float

from common.clip.config import CLIPAViTConfig
from common.clip.layers import LayerNorm
from common.clip.outputs import ImageOutput
from common.clip.vit import ViT, patch_convolution, residual_blocks


class CLIPAViT(ViT):
    """CLIP's, without the norm ahead of the blocks; the last norm is behind the mean."""

    config: CLIPAViTConfig

    def setup(self) -> None:
        """Name the parameters, which are the `ViT`'s but for the first norm's."""
        c = self.config
        normal = nn.initializers.normal(c.width**-0.5)
        self.patch_embedding = patch_convolution(c, self.dtype, use_bias=False)
        self.class_embedding = self.param("class_embedding", normal, (c.width,))
        positions = (1 + self.side**2, c.width)
        self.position_embedding = self.param("position_embedding", normal, positions)
        self.block = residual_blocks(c, self.dtype)
        self.post_norm = LayerNorm(c.eps, self.dtype)
        self.projection = nn.Dense(c.projection, use_bias=False, dtype=self.dtype)

    def embed(self, pixels: Float[Array, "b h w 3"]) -> Float[Array, "b s d"]:
        """Return the input of the first block.

        Raises:
          ValueError: The images have another size than the configured one.
        """
        return self.place(pixels)

    def finish(self, hidden_states: tuple[Float[Array, "b s d"], ...]) -> ImageOutput:
        """Apply the last layer norm to the mean of the patches, and the projection."""
        patches = hidden_states[-1][:, 1:]
        pooled = self.post_norm(patches.mean(axis=1))
        grid = patches.reshape(len(patches), self.side, self.side, -1)
        return ImageOutput(self.projection(pooled), pooled, grid, hidden_states)
