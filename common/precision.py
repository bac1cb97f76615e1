"""In which precision a run computes: the one place that says what `config.dtype` means.

| `dtype`    | frozen networks        | products of float32 numbers, such as learned parts        |
| ---------- | ---------------------- | --------------------------------------------------------- |
| `float32`  | float32                | float32 on every device                                   |
| `bfloat16` | bfloat16               | float32 on a CPU, TF32 on an NVIDIA GPU, bfloat16 on a TPU |
| `auto`     | float32 on a CPU, else | those of the dtype that it stands for                     |
|            | bfloat16               |                                                           |

Left alone, XLA rounds the float32 numbers that it multiplies to TF32 on GPUs and to bfloat16 on
TPUs, so that float32 would not mean float32 there: `use_precision` asks for all bits. A CPU has no
other way, and its programs stay as they are. Sums, softmax and norms are in float32 throughout.
"""

import os

import jax
import jax.numpy as jnp

from common.choices import check_choice

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
    check_choice("dtype", name, ("auto", *_DTYPES))
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
