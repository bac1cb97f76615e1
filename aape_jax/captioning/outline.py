"""What a captioning run needs of its models and images to be compiled: their shapes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.known import describe_clip
from common.errors import UserError
from common.language import LM, describe_lm
from common.precision import frozen_dtype


@dataclass(frozen=True, eq=False)
class Outline:
    """Shapes in place of weights, features and tokens.

    Attributes:
      clip: Whose features are shown.
      lm: What reads them.
      frozen: The frozen tree without the grid.
      grid: The cells of all images; they take the memory of one number.
    """

    clip: CLIP
    lm: LM
    frozen: PyTree
    grid: Float[np.ndarray, "b t c"]


def describe(config: ConfigDict) -> Outline:
    """Describe what a run of `config` would load and encode.

    Raises:
      UserError: The number of images is not stated, or a model's sizes are not known.
    """
    if not config.examples:
        raise UserError(
            f"examples=0: compiling without the images of {config.data!r} needs their "
            "number, e.g. examples=113287."
        )
    dtype = frozen_dtype(config.dtype, "tpu")
    clip = describe_clip(config.model, dtype, image_size=config.image_size)
    lm = describe_lm(config.lm.model, dtype)
    images, texts = config.examples, (config.examples, config.captions)
    width = clip.config.text.projection
    shapes = {
        "x": ((images, width), jnp.float32),
        "captions": ((*texts, width), jnp.float32),
        "mask": (texts, jnp.bool_),
        "ids": ((*texts, config.lm.length), jnp.int32),
        "lengths": (texts, jnp.int32),
        "asking": ((config.lm.asking,), jnp.int32),
    }
    frozen = {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()}
    grid = np.broadcast_to(np.float16(0), (images, *clip.config.vision.grid))
    return Outline(clip, lm, frozen | {"lm": lm.params}, grid)
