"""Samples per second of MC-TI's training step, beside the reference's step in PyTorch.

    python -m benchmarks.mcti_step --size=pocket|reduced|all

Four steps train on the same random networks and pictures, on the same device:
(a) PyTorch as the reference does it: VAE in the step, one class at a time, batch 1;
(b) the same from cached VAE posteriors;
(c) the arithmetic of (a) in JAX, one class at a time;
(d) ours: cached posteriors, all classes and several updates in one compiled program.
Before anything is timed, their losses and gradients are compared on the same draws.
"""

import os
import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec

# JAX would take most of a GPU's memory and leave none to PyTorch.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.machine import describe_machine
from benchmarks.mcti_ours import OurStep
from benchmarks.mcti_plain import PlainStep, encode
from benchmarks.mcti_problem import Problem, make_problem
from benchmarks.mcti_sizes import SIZES
from benchmarks.timing import rates
from common.errors import UserError, run_command
from common.precision import frozen_dtype

TOLERANCE = 1e-4
ALL = ("pocket", "reduced")  # what --size=all measures
NAMES = {
    "a": "PyTorch, the reference's step",
    "b": "PyTorch, cached posteriors",
    "c": "JAX, the reference's step",
    "d": "JAX, ours",
}


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_enum(
        "size", "all", [*SIZES, "all"], f"Size of the networks; all: {' and '.join(ALL)}."
    )
    flags.DEFINE_integer("classes", 16, "K.", lower_bound=2)
    flags.DEFINE_float("seconds", 5.0, "Least time of one measurement.", lower_bound=0)
    flags.DEFINE_integer("repeats", 3, "Measurements of each step.", lower_bound=1)
    flags.DEFINE_enum("device", "auto", ["auto", "cpu", "gpu"], "Where all steps run.")
    flags.DEFINE_string("dtype", "auto", "Of frozen networks: auto, float32 or bfloat16.")
    flags.DEFINE_integer("chunk", None, "Classes that (d) treats at once; 0 for all.")


def choose_device(device: str) -> str:
    """Set both frameworks to one kind of device and return PyTorch's name of it."""
    if find_spec("torch") is None or find_spec("diffusers") is None:
        raise UserError(
            "this benchmark compares with PyTorch, which is not installed here: "
            "pip install 'promptax[reference]'."
        )
    import torch

    if device != "auto":
        jax.config.update("jax_platforms", {"cpu": "cpu", "gpu": "cuda"}[device])
    backend, cuda = jax.default_backend(), torch.cuda.is_available()
    if backend not in ("cpu", "gpu") or (backend == "gpu" and not cuda):
        raise UserError(
            f"JAX runs on {backend} and PyTorch cannot: "
            "install PyTorch for it, or say --device=cpu."
        )
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return "cuda" if backend == "gpu" else "cpu"


def set_exact(exact: bool) -> None:
    """Use full float32 products, or what JAX does by default: TensorFloat-32 on GPUs."""
    import torch

    jax.config.update("jax_default_matmul_precision", "highest" if exact else None)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact


def build(problem: Problem, device: str, dtype: jnp.dtype) -> dict[str, Callable[[], int]]:
    """Return the four steps."""
    import torch

    from benchmarks.mcti_torch import TorchStep

    posteriors = encode(problem, dtype)
    options = {"device": device, "dtype": getattr(torch, dtype.name)}
    return {
        "a": TorchStep(problem, 0, **options),
        "b": TorchStep(problem, 0, **options, posteriors=posteriors),
        "c": PlainStep(problem, 0, dtype),
        "d": OurStep(problem, posteriors, dtype),
    }


def check(steps: Mapping[str, Callable[[], int]], classes: int) -> float:
    """Return the largest relative difference of losses and gradients on the same draws.

    (a) and (b) differentiate one class, (c) all of them in turn, (d) all of them at once.

    Raises:
      RuntimeError: A difference exceeds `TOLERANCE`.
    """
    draws = steps["d"].draws()
    plain = [steps["c"].differentiate(draws, label) for label in range(classes)]
    losses, gradients = (np.array(x) for x in zip(*plain, strict=True))
    total, stacked = steps["d"].differentiate()
    pairs = {"(d) and (c), loss": (total, losses.sum()), "(d) and (c)": (stacked, gradients)}
    for name in "ab":
        loss, gradient = steps[name].differentiate(draws)
        pairs[f"({name}) and (c), loss"] = loss, losses[0]
        pairs[f"({name}) and (c)"] = gradient, gradients[0]
    errors = {name: float(np.abs(x - y).max() / np.abs(y).max()) for name, (x, y) in pairs.items()}
    for name, error in errors.items():
        if not error < TOLERANCE:
            raise RuntimeError(f"{name} differ by {error:.1e}: they compute different things.")
    return max(errors.values())


def throughput(
    steps: Mapping[str, Callable[[], int]], seconds: float, repeats: int
) -> dict[str, float]:
    """Return samples per second of each step: medians over rounds in which all take turns."""
    samples = {name: step() for name, step in steps.items()}
    calls = rates(steps, seconds, repeats)
    return {name: calls[name] * count for name, count in samples.items()}


def report(size: str, device: str, dtype: jnp.dtype, options: flags.FlagValues) -> None:
    """Measure one size and print its table."""
    problem = make_problem(size, options.classes, options.chunk)
    print(f"{size}: compiling, then comparing the steps", file=sys.stderr)
    set_exact(True)
    steps = build(problem, device, jnp.dtype("float32"))
    error = check(steps, problem.classes)
    print(f"{size}: agreed to {error:.1e}; timing", file=sys.stderr)
    if device != "cpu" or dtype != jnp.float32:
        set_exact(False)
        steps = build(problem, device, dtype)
    speeds = throughput(steps, options.seconds, options.repeats)

    print(f"\n### {size}: K={problem.classes}, {dtype.name}\n")
    print("| step | samples/s | ratio | GFLOP/sample | XLA temporaries, MiB |")
    print("|---|---:|---:|---:|---:|")
    for name, step in steps.items():
        in_jax = name in "cd"
        flops = (step.flops if in_jax else step.flops()) / 1e9
        memory = f"{step.memory.temp_size_in_bytes / 2**20:.0f}" if in_jax else ""
        print(
            f"| ({name}) {NAMES[name]} | {speeds[name]:.2f} | {speeds[name] / speeds['a']:.2f} "
            f"| {flops:.3g} | {memory} |"
        )
    print(
        f"\nBefore timing, losses and gradients agreed to {error:.1e} in float32. (d): "
        f"{problem.steps_per_call} updates in a call, {steps['d'].layout.at_once} classes "
        f"at once, compiled in {steps['d'].compile_seconds:.1f} s. Peak memory of this process "
        f"so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB. FLOPs "
        "as each framework counts them: PyTorch leaves out all but products and convolutions."
    )


def main(argv: Sequence[str]) -> None:
    """Print a table for each size."""
    del argv
    options = flags.FLAGS
    device = choose_device(options.device)
    dtype = frozen_dtype(options.dtype)
    for size in ALL if options.size == "all" else [options.size]:
        report(size, device, dtype, options)
    machine = describe_machine("jax", "flax", "torch", "transformers", "diffusers")
    print(f"\n{jax.devices()[0].device_kind} ({device}), {machine}")


if __name__ == "__main__":
    run_command(main, define_flags)
