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

What the program around has set in JAX does not matter: with 64 bits (`jax_enable_x64`), or with
another layout of random bits (`jax_threefry_partitionable`), a seed would be other numbers.
"""

import contextlib
import os
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from common.choices import check_choice

_DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
_EXACT = "highest"
# What a seed's numbers depend on beside it: JAX's own defaults.
_USUAL = {"jax_enable_x64": False, "jax_threefry_partitionable": True}
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
    """Let a command compute as `config.dtype` means, from here to its end.

    To be called where a run's config is read, before anything is traced; JAX keeps programs of
    different precision apart.

    Raises:
      UserError: `name` is none of auto, float32 and bfloat16.
    """
    jax.config.update("jax_default_matmul_precision", product_precision(name))
    for field, value in _USUAL.items():
        jax.config.update(field, value)


@contextlib.contextmanager
def computing(dtype: DTypeLike) -> Iterator[None]:
    """Compute as a dtype means, in a program that may have settings of its own and keeps them.

    Args:
      dtype: A `config.dtype`, or that of a model.

    Raises:
      UserError: It is none that models compute in.
    """
    name = dtype if isinstance(dtype, str) else jnp.dtype(dtype).name
    # Products of half precision are the device's own, whichever of both it is.
    name = "bfloat16" if name == "float16" else name
    with (
        jax.default_matmul_precision(product_precision(name)),
        _without_64_bits(),
        jax.threefry_partitionable(True),
    ):
        yield


def _without_64_bits() -> contextlib.AbstractContextManager:
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(False)
    from jax.experimental import disable_x64  # Before jax 0.8.

    return disable_x64()
