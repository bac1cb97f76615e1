"""In which precision a run computes: the one place that says what `config.dtype` means.

| `dtype`    | frozen networks               | products of float32 numbers, as learned parts have them |
| ---------- | ----------------------------- | ------------------------------------------------------- |
| `float32`  | float32                       | float32 on every device                                 |
| `bfloat16` | bfloat16                      | the device's own: float32 on a CPU, TF32 on an NVIDIA   |
|            |                               | GPU, one pass in bfloat16 on a TPU                      |
| `auto`     | float32 on a CPU, else        | as `float32` or `bfloat16`, whichever it stands for     |
|            | bfloat16                      |                                                         |

Left alone, XLA multiplies float32 numbers in TF32 on GPUs and rounds them to bfloat16 on TPUs, so
that float32 would not mean float32 there; `use_precision` asks for all bits. A CPU has no other
way, so its programs stay as they are. Sums, softmax and norms are in float32 throughout.
"""

import os

import jax
import jax.numpy as jnp

from common.errors import UserError

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
_EXACT = "highest"
# JAX's own variable, for those who want something in between.
_OVERRIDE = "JAX_DEFAULT_MATMUL_PRECISION"


def frozen_dtype(name: str, platform: str | None = None) -> jnp.dtype:
    """Return the dtype of frozen networks that `config.dtype` means on a platform, or on this one.

    Raises:
      UserError: `name` is none of auto, float32 and bfloat16.
    """
    if name == "auto":
        name = "float32" if (platform or jax.default_backend()) == "cpu" else "bfloat16"
    if name not in _DTYPES:
        raise UserError(f"dtype={name!r} is unknown; choose auto, {' or '.join(_DTYPES)}.")
    return jnp.dtype(_DTYPES[name])


def product_precision(name: str, platform: str | None = None) -> str | None:
    """Return `jax_default_matmul_precision` for `config.dtype`; None is the device's own.

    Where the environment sets JAX_DEFAULT_MATMUL_PRECISION, that is it.

    Raises:
      UserError: `name` is none of auto, float32 and bfloat16.
    """
    exact = frozen_dtype(name, platform) == jnp.float32
    if _OVERRIDE in os.environ:
        return os.environ[_OVERRIDE]
    return _EXACT if exact and (platform or jax.default_backend()) != "cpu" else None


def use_precision(name: str) -> None:
    """Let this program's products have the precision that `config.dtype` means.

    To be called where a run's config is read, before anything is traced; JAX keeps programs of
    different precision apart.

    Raises:
      UserError: `name` is none of auto, float32 and bfloat16.
    """
    jax.config.update("jax_default_matmul_precision", product_precision(name))
