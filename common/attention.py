"""Attention behind one function with named implementations."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from common.choices import check_choice
from common.errors import UserError

_FLASH_BLOCK = 512
_FLASH_LENGTH = 4096  # below it, materialised probabilities are cheaper
_LANES = 128  # of a TPU's vector unit; wider heads have to fill whole ones
_WITHOUT_FLASH = ("TPU v2", "TPU v3")  # Pallas' kernel is for the chips after these
_FASTEST = {"tpu": "flash", "gpu": "fused"}  # by platform; "plain" elsewhere


@runtime_checkable
class Chip(Protocol):
    """A device as jax describes it, whether it is there or only compiled for."""

    platform: str
    device_kind: str


def choose_attention(name: str, chip: Chip) -> str:
    """Return the implementation that a config's `attention` stands for on a chip.

    "auto" is the flash kernel on TPUs from v4 on, cuDNN's on GPUs, and "plain" elsewhere.

    Raises:
      UserError: There is no such implementation, or the chip cannot run it.
    """
    check_choice("attention", name, CHOICES)
    flash = chip.platform == "tpu" and not chip.device_kind.startswith(_WITHOUT_FLASH)
    if name == "flash" and not flash:
        raise UserError(
            f"attention='flash' is a kernel for TPUs from v4 on, and this run is on "
            f"{chip.device_kind}: leave it at attention=auto."
        )
    if name != AUTO:
        return name
    best = _FASTEST.get(chip.platform, "plain")
    return "plain" if best == "flash" and not flash else best


def attend(
    query: Float[Array, "b q h d"],
    key: Float[Array, "b k h d"],
    value: Float[Array, "b k h d"],
    *,
    causal: bool = False,
    implementation: str = "plain",
) -> Float[Array, "b q h d"]:
    """Return scaled dot-product attention, softmax in float32 or wider.

    Letters: b batch, q queries, k keys, h heads, d head width.

    Args:
      query: What asks.
      key: What is compared with.
      value: What is mixed.
      causal: Whether each query only sees keys up to its own position.
      implementation: "plain"; "fused", `jax.nn.dot_product_attention`, which is cuDNN's kernel
        on NVIDIA GPUs in half precision; or "flash", a Pallas kernel for TPUs that never holds
        the probabilities, used from 4096 queries and keys on and "plain" below; on several
        chips it wants the mesh set by `jax.set_mesh`. All agree up to rounding.

    Raises:
      UserError: There is no such implementation.
    """
    check_choice("attention", implementation, IMPLEMENTATIONS)
    return IMPLEMENTATIONS[implementation](query, key, value, causal)


def _plain(query: Array, key: Array, value: Array, causal: bool) -> Array:
    scale = query.shape[-1] ** -0.5
    wide = jnp.promote_types(jnp.float32, query.dtype)
    logits = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=wide)
    logits = logits * scale
    if causal:
        mask = jnp.tril(jnp.ones(logits.shape[-2:], dtype=bool))
        logits = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def _fused(query: Array, key: Array, value: Array, causal: bool) -> Array:
    width = query.shape[-1]
    half = query.dtype in (jnp.bfloat16, jnp.float16)
    # What cuDNN's kernel takes on every generation since Ampere.
    cudnn = _has_cudnn_kernel() and half and width % 8 == 0 and width <= 128
    return jax.nn.dot_product_attention(
        query, key, value, is_causal=causal, implementation="cudnn" if cudnn else "xla"
    )


def _has_cudnn_kernel() -> bool:
    """Return whether the GPUs are NVIDIA's of the generation of Ampere or later; a T4 is not."""
    if jax.default_backend() != "gpu":
        return False
    generation = getattr(jax.local_devices()[0], "compute_capability", "").partition(".")[0]
    return generation.isdecimal() and int(generation) >= 8


def _flash(query: Array, key: Array, value: Array, causal: bool) -> Array:
    lengths, width = (query.shape[1], key.shape[1]), query.shape[-1]
    short = any(length < _FLASH_LENGTH or length % _FLASH_BLOCK for length in lengths)
    if short or (width > _LANES and width % _LANES):
        return _plain(query, key, value, causal)
    # Imported on use: Pallas' TPU kernels are slow to import and useless elsewhere.
    from jax.experimental.pallas.ops.tpu.flash_attention import BlockSizes, flash_attention

    blocks = dict.fromkeys(BlockSizes.__dataclass_fields__, _FLASH_BLOCK) | {"block_b": 1}

    def kernel(*arrays: Array) -> Array:
        return flash_attention(
            *arrays, causal=causal, sm_scale=width**-0.5, block_sizes=BlockSizes(**blocks)
        )

    # The kernel's layout is [b h s d]; it takes heads of up to a vector unit as they are.
    arranged = (x.transpose(0, 2, 1, 3) for x in (query, key, value))
    return _per_device(kernel, *arranged).transpose(0, 2, 1, 3)


def _per_device(kernel: Callable[..., Array], *arrays: Array) -> Array:
    """Split batch and heads of [b h s d] arrays over the mesh's axes, where they divide.

    The compiler cannot partition a kernel by itself, and refuses to. Inside of a `shard_map` the
    arrays are a device's own already, and what is split there is not split again.
    """
    mesh = jax.sharding.get_abstract_mesh()
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True) if not mesh.empty else ()
    free = {name: mesh.shape[name] for name, kind in kinds if kind != AxisType.Manual}
    if not free:
        return kernel(*arrays)
    sizes = zip(("data", "model"), arrays[0].shape, strict=False)
    spec = P(*(n if n in free and size % free[n] == 0 else None for n, size in sizes))
    # The kernel does not declare over which axes its output varies.
    return jax.shard_map(kernel, in_specs=(spec,) * len(arrays), out_specs=spec, check_vma=False)(
        *arrays
    )


IMPLEMENTATIONS: dict[str, Callable[[Array, Array, Array, bool], Array]] = {
    "plain": _plain,
    "fused": _fused,
    "flash": _flash,
}

AUTO = "auto"
CHOICES = (AUTO, *IMPLEMENTATIONS)
"""What a config's `attention` may say."""
