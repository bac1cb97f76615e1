"""The table of parts, and how one of them is run in a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from benchmarks.gpu.setting import Setting, reason
from common.files import read_json, write_json

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Part:
    """What is measured in one process.

    Attributes:
      title: Stands above its table.
      measure: Where the function is, a `benchmarks.gpu.setting.Measure`.
      limit: Seconds after which it is stopped.
    """

    title: str
    measure: str
    limit: float


# In the order of their worth, as time may end; PyTorch's parts compare with what ours leave.
PARTS: Mapping[str, Part] = {
    "clip": Part("Parity of CLIP's towers", "benchmarks.gpu.parity:clip_towers", 80),
    "mcti": Part("MC-TI's update, ours", "benchmarks.gpu.training:ours", 200),
    "mcti_torch": Part("MC-TI's update, PyTorch", "benchmarks.gpu.torch_training:theirs", 90),
    "sampling": Part("Sampling, ours", "benchmarks.gpu.sampling:ours", 100),
    "sampling_torch": Part("Sampling, PyTorch", "benchmarks.gpu.sampling:theirs", 60),
    "protext": Part("ProText's step", "benchmarks.gpu.protext:steps", 90),
    "sd": Part("Parity of Stable Diffusion", "benchmarks.gpu.parity:diffusion", 150),
    "update": Part("Parity of MC-TI's update", "benchmarks.gpu.parity:update", 90),
}


def run_part(name: str, setting: Setting, results: Path) -> None:
    """Measure a part in this process; write the results anew after each row."""
    content = read_json(results) if results.exists() else {}
    entry: dict[str, Any] = {"title": PARTS[name].title, "rows": [], "notes": []}
    content[name] = entry
    started = time.monotonic()
    try:
        for item in resolve_name(PARTS[name].measure)(setting):
            entry["notes" if isinstance(item, str) else "rows"].append(item)
            entry["seconds"] = round(time.monotonic() - started, 1)
            write_json(results, content)
        entry |= {"seconds": round(time.monotonic() - started, 1), "where": describe_device()}
    except Exception as error:
        entry["error"] = reason(error)
        raise
    finally:
        write_json(results, content)


def describe_device() -> str:
    """Return the device's name and the versions of what ran on it."""
    import jax

    from benchmarks.machine import describe_machine

    machine = describe_machine("jax", "flax", "torch", "transformers", "diffusers")
    return f"{jax.devices()[0].device_kind}; {machine}"


def run_apart(name: str, arguments: Sequence[str], results: Path, seconds: float, cpu: bool) -> int:
    """Measure a part in a process of its own; what ends it early stands in the results.

    Args:
      name: A key of `PARTS`.
      arguments: Flags of the command.
      results: The JSON file.
      seconds: After which it is stopped.
      cpu: Whether it runs on the CPU.

    Returns:
      0 if it finished.
    """
    environment = os.environ | {
        # JAX would take most of a GPU's memory and leave none to PyTorch.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_PLATFORMS": "cpu" if cpu else "cuda,cpu",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "benchmarks.on_gpu", f"--only={name}", *arguments]
    try:
        status = subprocess.run(command, env=environment, cwd=ROOT, timeout=seconds).returncode
        fault = f"ended with status {status}" if status else None
    except subprocess.TimeoutExpired:
        status, fault = 1, f"stopped after {seconds:.0f} s"
    if fault:
        note_fault(name, fault, results)
    return status


def note_fault(name: str, fault: str, results: Path) -> None:
    """Write why a part has no more rows, unless it said so itself."""
    content: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    entry = content.setdefault(name, {"title": PARTS[name].title, "rows": [], "notes": []})
    entry.setdefault("error", fault)
    write_json(results, content)
