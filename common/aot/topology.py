"""TPU devices that exist for the compiler only."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from common.chips import sides
from common.errors import UserError

# What libtpu asks the machine for when it is loaded; without answers it complains at length.
_ENVIRONMENT = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
# A v4 chip is one device to JAX ("megacore"); the compiler's default is its two cores.
_OPTIONS = {"v4": {"chip_config_name": "megacore"}}
_SIZE = r"([\d.]+)([KMGT])"
_OUT_OF_MEMORY = (
    re.compile(rf"\({_SIZE}\) exceeds available HBM \({_SIZE}\)"),
    re.compile(rf"Used {_SIZE} of {_SIZE} hbm"),  # that of jax 0.7.2
)
_GIB = {"K": 2**-20, "M": 2**-10, "G": 1.0, "T": 2**10}


class DoesNotFit(UserError):
    """The program was compiled up to its memory plan, which exceeds the device's memory.

    Attributes:
      needed: GiB that the plan comes to.
      available: GiB that a program may use.
    """

    exit_status = 1  # The request was in order and minutes were spent on it.

    def __init__(self, sentence: str, needed: float, available: float):
        super().__init__(sentence)
        self.needed, self.available = needed, available


def topology_devices(name: str) -> Sequence[jax.Device]:
    """Return the compile-only devices of a topology such as "v5e:2x4".

    Raises:
      UserError: libtpu is not installed, or does not know the topology.
    """
    if find_spec("libtpu") is None:
        raise UserError("compiling for TPUs needs the libtpu wheel: pip install -e '.[tpu]'.")
    generation, _, shape = name.partition(":")
    options = dict(_OPTIONS.get(generation, {}))
    if re.fullmatch(r"\d+(x\d+)+", shape):
        # A host has 2 x 2 chips; not every libtpu sees by itself that a smaller slice has fewer.
        options["chips_per_host_bounds"] = [min(2, side) for side in sides(name)[:2]] + [1]
    try:
        with _environment():
            return topologies.get_topology_desc(name, platform="tpu", **options).devices
    except RuntimeError:
        raise UserError(
            f"--topology={name} is not one that libtpu knows: name a generation and its shape in "
            "whole hosts, e.g. v5e:1x1, v5e:2x4, v6e:2x2, v4:2x2x1 or v5p:2x2x1."
        ) from None


def available_memory(device: jax.Device) -> float | None:
    """Return the GiB of HBM that a program may use.

    Only the compiler knows, and it tells only those who ask for too much.
    """
    # A TiB; of more, the addresses are too long for older compilers.
    whole = jax.ShapeDtypeStruct((2**38,), jnp.float32, sharding=SingleDeviceSharding(device))
    try:
        jax.jit(jnp.negative).lower(whole).compile()
    except jax.errors.JaxRuntimeError as error:
        sizes = _sizes(error)
        return sizes[1] if sizes else None
    return None


@contextmanager
def refusing_what_does_not_fit(what: str) -> Iterator[None]:
    """Turn the compiler's memory error into a sentence.

    Raises:
      DoesNotFit: The body's program needs more memory than there is.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        sizes = _sizes(error)
        if sizes is None:
            raise
        needed, available = sizes
        raise DoesNotFit(
            f"{what} does not fit: a device would need {needed:.2f} GiB of HBM and has "
            f"{available:.2f}; treat less at once, recompute more (remat), or use attention "
            "that keeps no probabilities.",
            needed,
            available,
        ) from None


def _sizes(error: Exception) -> tuple[float, float] | None:
    for pattern in _OUT_OF_MEMORY:
        if match := pattern.search(str(error)):
            needed, unit, available, unit_available = match.groups()
            return float(needed) * _GIB[unit], float(available) * _GIB[unit_available]
    return None


@contextmanager
def _environment() -> Iterator[None]:
    added = {name: value for name, value in _ENVIRONMENT.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
