"""A model for images of another size than its weights': its positions are interpolated once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from common.clip.config import CLIPConfig, ViTConfig
from common.clip.families import Family
from common.clip.positions import resample
from common.clip.single_file import OpenedCLIP
from common.errors import UserError
from common.sizes import BOUNDS
from common.weights.rules import TRANSFORMS

_POSITIONS = "vision/position_embedding"


def resize_config(config: CLIPConfig, family: Family, image_size: int | None) -> CLIPConfig:
    """Return a configuration for images of another size.

    Args:
      config: Of the weights.
      family: Theirs.
      image_size: In pixels; None or 0 leaves it. Of a size that is not a multiple of the patches'
        the rest is not seen, as in the published SigLIPs of 384 pixels with patches of 14.

    Raises:
      UserError: The size is not one that the model can be brought to.
    """
    vision = config.vision
    if image_size in (None, 0, vision.image_size):
        return config
    if not (isinstance(vision, ViTConfig) and family.resampling):
        raise UserError(
            f"image_size={image_size} is not the {vision.image_size} of the weights, and there is "
            f"no rule for the positions of {family.name}: leave image_size out, or choose a model "
            "with a vision transformer."
        )
    low, high = vision.patch_size, BOUNDS["image_size"][1]
    if type(image_size) is not int or not low <= image_size <= high:
        raise UserError(
            f"image_size={image_size!r} is not a whole number from {low}, the size of a patch, to "
            f"{high}."
        )
    return replace(config, vision=replace(vision, image_size=image_size))


def resize(clip: OpenedCLIP, image_size: int | None) -> OpenedCLIP:
    """Return a model for images of another size; see `resize_config`."""
    config = resize_config(clip.config, clip.family, image_size)
    if config is clip.config:
        return clip
    old, new = clip.config.vision, config.vision
    sides = old.image_size // old.patch_size, new.image_size // new.patch_size
    return replace(
        clip,
        config=config,
        preprocess=clip.preprocess.at(new.image_size),
        tensors=lambda: _resample(clip.tensors(), clip.family, *sides),
    )


def _resample(
    tensors: Mapping[str, np.ndarray], family: Family, old: int, new: int
) -> Mapping[str, Any]:
    """Return a checkpoint with the positions of another grid, which has to fit the weights."""
    rule = next(rule for rule in family.table if rule.target == _POSITIONS)
    transform = TRANSFORMS[rule.transform]
    if rule.source not in tensors or old == new:
        return tensors
    table = transform.to_flax(tensors[rule.source])
    if table.ndim != 2 or len(table) - old**2 not in (0, 1):
        raise UserError(
            f"{rule.source} has the shape {tensors[rule.source].shape}, which is not that of "
            f"{old} x {old} patches: do weights and configuration belong to the same model?"
        )
    made = transform.to_source(resample(table, old, new, family.resampling))
    return {**tensors, rule.source: made}
