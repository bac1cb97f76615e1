"""Outputs of the image towers, and the check of their inputs."""

from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from common.trees import Leaf

ImageTower = nn.Module
"""Of images: `__call__` takes pixels [b h w 3] and returns an `ImageOutput`."""


@struct.dataclass
class ImageOutput:
    """The output of an image tower.

    Attributes:
      features: The image in the space shared with texts, [b p], not normalised.
      pooled: The same before the projection, [b d].
      grid: One vector per cell, [b h w c]: the last hidden state's patches (ViT), or the
        feature map that the attention pool reads (ResNet, SigLIP).
      hidden_states: ViT: the input of the first block and the output of each, [b s d] with the
        class token, if any, first. ResNet: the stem and each stage, [b h w c].
    """

    features: Leaf
    pooled: Leaf
    grid: Leaf
    hidden_states: Leaf


def check_size(pixels: Float[Array, "b h w 3"], size: int) -> None:
    """Raise a ValueError unless the images are `size` pixels high and wide."""
    height, width = pixels.shape[1:3]
    if (height, width) != (size, size):
        raise ValueError(f"images of {height} x {width} pixels; the tower takes {size} x {size}")
