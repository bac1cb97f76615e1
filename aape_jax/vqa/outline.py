"""What a run on questions needs to be compiled: the shapes of its frozen tree."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.vqa.towers import make_tower
from common.clip.known import describe_clip
from common.errors import UserError


def describe(config: ConfigDict) -> PyTree:
    """Describe what `to_learn` would give; each question counts as distinct.

    Raises:
      UserError: A number is not stated, or the model's sizes are not known.
    """
    stated = {name: config[name] for name in ("examples", "images", "answers")}
    if not all(stated.values()):
        counts = ", ".join(f"{name}={value}" for name, value in stated.items())
        raise UserError(
            f"{counts}: compiling without the questions of {config.data!r} needs the numbers of "
            "training questions, of their images and of answers, e.g. "
            "examples=443757,images=82783,answers=3129."
        )
    width = describe_clip(config.model, image_size=config.image_size).config.text.projection
    together, captions = -(-config.examples // config.per_image), (config.images, config.captions)
    shapes = {
        "questions": ((config.examples, width), jnp.float32),
        "image": ((config.examples,), jnp.int32),
        "text": ((config.examples,), jnp.int32),
        "answer": ((config.examples,), jnp.int32),
        "asked": ((together, config.per_image), jnp.int32),
    }
    if config.loss.distill:
        shapes["captions"] = ((*captions, width), jnp.float32)
        shapes["mask"] = (captions, jnp.bool_)
    frozen = {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()}
    return frozen | {"seen": make_tower(config).outline(config.images, width)}
