"""CLIPA's image tower (arXiv 2305.07017): the mean of the patches in the class token's place."""

from jaxtyping import Array, Float

from common.clip.config import CLIPAViTConfig
from common.clip.outputs import ImageOutput
from common.clip.vit import ViT


class CLIPAViT(ViT):
    """CLIP's, without the norm ahead of the blocks; the last norm is behind the mean.

    The first norm is named by `ViT.setup` and never called, so it has no parameters.
    """

    config: CLIPAViTConfig

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
