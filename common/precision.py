"""In which precision frozen networks compute."""

import jax
import jax.numpy as jnp

from common.errors import UserError

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def frozen_dtype(name: str, platform: str | None = None) -> jnp.dtype:
    """The dtype of frozen networks that `config.dtype` means on a platform, or on this one.

    Raises:
      UserError: `name` is none of auto, float32 and bfloat16.
    """
    if name == "auto":
        name = "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"
    if name not in _DTYPES:
        raise UserError(f"dtype={name!r} is unknown; choose auto, {' or '.join(_DTYPES)}.")
    return jnp.dtype(_DTYPES[name])
