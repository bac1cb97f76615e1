"""The devices of a run: joining a cluster, the mesh, and the cache of compiled programs."""

import contextlib
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import AxisType, Mesh

from common.errors import UserError
from common.paths import as_path

# Launchers that say by an environment variable how many processes they started.
_TASK_COUNTS = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "MEGASCALE_NUM_SLICES")


def join_cluster() -> None:
    """Call `jax.distributed.initialize` where several processes were started together.

    They are configured by JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID, or
    detected: Slurm, Open MPI and Cloud TPU pods. To be called before any device is touched.

    Raises:
      UserError: The three variables do not fit together.
    """
    if jax.distributed.is_initialized():
        return
    environment = os.environ
    if "JAX_COORDINATOR_ADDRESS" in environment:
        jax.distributed.initialize(
            environment["JAX_COORDINATOR_ADDRESS"],
            _whole_number("JAX_NUM_PROCESSES"),
            _whole_number("JAX_PROCESS_ID"),
        )
    elif any(_whole_number(name, "1") > 1 for name in _TASK_COUNTS):
        jax.distributed.initialize()
    elif _on_tpu_host():
        # A host of a Cloud TPU learns only from its metadata server whether it has siblings;
        # where nothing answers (a notebook's machine) it is alone.
        with contextlib.suppress(ValueError, OSError):
            jax.distributed.initialize()


def make_mesh(data: int, model: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return the mesh with axes "data" and "model"; `data=-1` takes all devices.

    Args:
      data, model: Sizes of the axes.
      devices: All of these take part. By default those that there are, of which a run on one
        host may leave some idle.

    Raises:
      UserError: The devices are too few, or one that must take part would be left out.
    """
    all_take_part = devices is not None or jax.process_count() > 1
    devices = jax.devices() if devices is None else devices
    if model < 1 or (data < 1 and data != -1):
        raise UserError(f"mesh.data={data} and mesh.model={model}: give positive numbers, or -1.")
    if data == -1:
        if len(devices) % model:
            raise UserError(
                f"mesh.model={model} does not divide the number of devices, {len(devices)}."
            )
        data = len(devices) // model
    needed = data * model
    if needed > len(devices):
        raise UserError(
            f"mesh.data={data} times mesh.model={model} needs {needed} devices, more than the "
            f"{len(devices)} at hand."
        )
    if needed < len(devices) and all_take_part:
        raise UserError(
            f"mesh.data={data} times mesh.model={model} leaves some of the {len(devices)} devices "
            "idle, but all of a cluster or topology must take part: use mesh.data=-1."
        )
    return jax.make_mesh(
        (data, model),
        ("data", "model"),
        axis_types=(AxisType.Auto,) * 2,
        devices=devices[:needed],
    )


def use_compile_cache(directory: str) -> None:
    """Keep compiled programs in `directory` between runs; an empty string turns it off.

    It may lie in a bucket, which JAX reaches through the same library as a run's folder.
    """
    path = str(as_path(directory)) if directory else None
    if path != jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", path)
        compilation_cache.reset_cache()  # The folder is looked up once, at the first program.


def _whole_number(name: str, default: str | None = None) -> int:
    value = os.environ.get(name, default)
    if value is None or not value.isdecimal():
        raise UserError(
            f"the environment variable {name} is {value!r}; with JAX_COORDINATOR_ADDRESS it "
            "must say a whole number."
        )
    return int(value)


def _on_tpu_host() -> bool:
    """Return whether TPU chips are attached that may belong to a pod."""
    if "TPU_WORKER_HOSTNAMES" in os.environ:
        return "," in os.environ["TPU_WORKER_HOSTNAMES"]
    if "tpu" not in os.environ.get("JAX_PLATFORMS", "tpu") or "TPU_SKIP_MDS_QUERY" in os.environ:
        return False
    chips = [*Path("/dev").glob("accel*"), *Path("/dev/vfio").glob("[0-9]*")]
    return bool(chips) and find_spec("libtpu") is not None
