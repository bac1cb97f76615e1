"""From pictures to the pixels that Stable Diffusion's autoencoder reads."""

import numpy as np
from jaxtyping import Array, Float, Float32, UInt8
from PIL import Image

Pixels = np.ndarray | Array

# uint8 has 256 values; rounding once from float64 is what the reference does per pixel.
_SIGNED = (np.arange(256) / 127.5 - 1.0).astype(np.float32)


def squash(image: Image.Image, width: int, height: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Resize an RGB picture without cropping, bicubic on uint8.

    The textual-inversion dataset of the MC-TI reference does this (`center_crop` off): the
    aspect ratio is given up, and nothing at the edges is lost.
    """
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def crop(image: Image.Image, width: int, height: int) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Cut the largest part of a shape out of an RGB picture's middle and resize it, as `squash`.

    The aspect ratio is kept, and what lies beyond the part is lost: for a square, `center_crop` of
    the textual-inversion data set, which cuts before it resizes.
    """
    scale = min(image.width / width, image.height / height)
    part = max(1, round(scale * width)), max(1, round(scale * height))
    left, top = ((whole - kept) // 2 for whole, kept in zip(image.size, part, strict=True))
    return squash(image.crop((left, top, left + part[0], top + part[1])), width, height)


FITS = {"squash": squash, "crop": crop}
"""How a picture of any shape becomes one of a width and a height, by name."""


def mirror(pixels: UInt8[np.ndarray, "*b h w 3"]) -> UInt8[np.ndarray, "*b h w 3"]:
    """Flip left and right; the reference does so after resizing."""
    return pixels[..., ::-1, :]


def to_uint8(images: Float[Pixels, "*b h w 3"]) -> UInt8[Pixels, "*b h w 3"]:
    """Map [0, 1] to 0..255; what lies outside is cut off. JAX's arrays stay on their device."""
    return (images.clip(0, 1) * 255).round().astype(np.uint8)


def to_pixels(pixels: UInt8[np.ndarray, "*b h w 3"]) -> Float32[np.ndarray, "*b h w 3"]:
    """Map 0..255 to [-1, 1]."""
    return _SIGNED[pixels]
