"""What the fields `model`, `dtype`, `image_size` and `cache` of a config stand for."""

from pathlib import Path

from jax.typing import DTypeLike
from ml_collections import ConfigDict

from common.clip import CLIP, load_clip


def clip_of(config: ConfigDict, dtype: DTypeLike | None = None) -> CLIP | None:
    """Return the model that a config names; None for "".

    Args:
      config: The run's.
      dtype: In place of the config's.

    Raises:
      UserError: It cannot be loaded.
    """
    if not config.model:
        return None
    dtype = config.dtype if dtype is None else dtype
    return load_clip(config.model, dtype, image_size=config.image_size)


def cache_of(config: ConfigDict) -> Path:
    """Return the folder of what was encoded before."""
    return Path(config.cache).expanduser()
