"""Seconds of ProText's training step, beside the reference's step in PyTorch.

    python -m benchmarks.protext_step --texts=FOLDER [--size=small|vit-b16] [--only=REGEX]
        [--results=FILE.json]

Three steps train on the same random tower and the paper's sentences, on the CPU:
(a) PyTorch as the reference does it: both encoders, 77 positions, a row per pair;
(b) the same arithmetic in JAX, targets cached;
(c) ours: distinct classes packed, prefix shared, several steps in one compiled call.
Before anything is timed, their losses and gradients are compared on a smaller batch. A data set
takes about ten minutes on two cores. Finished ones are kept in the results file, so that the
script may be run piecewise; the tables of all that were asked for come at the end.
"""

import os
import re
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks.machine import describe_machine
from benchmarks.protext_ours import JaxStep, encode_targets
from benchmarks.protext_problem import BATCH, CASES, SIZES, Problem, make_problem
from benchmarks.protext_tables import NAMES, show
from common.errors import UserError, run_command
from common.files import read_json, write_json
from common.training import say
from common.training.mesh import make_mesh
from common.weights.clip import HF_TEXT_TOWER
from common.weights.table import to_flax

TOLERANCE = 1e-4
RATE = 0.03
ENOUGH = 60.0  # seconds after which a step is not measured again


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("texts", "../shared/data/llm_prompts", "Folder of ProText's json.gz files.")
    flags.DEFINE_enum("size", "vit-b16", list(SIZES), "Size of the tower.")
    flags.DEFINE_string("only", "", "A regular expression that a data set's name must contain.")
    flags.DEFINE_string("results", "", "JSON file that keeps what is finished; none by default.")
    flags.DEFINE_integer("batch", BATCH, "Pairs of a step.", lower_bound=1)
    flags.DEFINE_integer("check_pairs", 12, "Pairs of the comparison.", lower_bound=2)
    flags.DEFINE_integer(
        "repeats", 3, "Measurements of each step, or fewer if they take long.", lower_bound=1
    )
    flags.DEFINE_integer("steps_per_call", 4, "Steps in a call of (c).", lower_bound=1)


def make_steps(
    problem: Problem, steps_per_call: int, calls: int, device: str = "cpu", names: str = "abc"
) -> dict[str, Callable]:
    """Return the steps of these names, (a) always, for so many calls of each.

    (a) runs on PyTorch's `device`. Its loss and gradient are under "reference", its arithmetic
    under "flops".
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.protext_torch import TorchStep, published

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    dtype = getattr(torch, jnp.dtype(problem.dtype).name)
    torch_step = TorchStep(problem.config, problem.prompts, RATE, device=device, dtype=dtype)
    params = to_flax(HF_TEXT_TOWER, published(torch_step.state()))
    projection = torch_step.model.text_projection.weight.float().cpu().numpy()
    params["projection"] = {"kernel": projection.T.copy()}
    source = problem.batches(fast=False)
    position = iter(range(10**9))

    def pairs(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = source.batch(step)["rows"][0]
        return problem.templates[problem.label[rows]], problem.sentences[rows]

    def update() -> int:
        torch_step.update(*pairs(next(position)))
        return 1

    def reference() -> tuple[float, np.ndarray]:
        loss = torch_step.loss(*pairs(0))
        gradient = torch.autograd.grad(loss, torch_step.prompts)
        return loss.item(), np.stack([x.cpu().numpy() for x in gradient])

    def flops() -> int:
        with FlopCounterMode(display=False) as counter:
            reference()
        return counter.get_total_flops()

    targets = encode_targets(problem, params, steps_per_call * calls)
    ours = {
        name: JaxStep(problem, params, targets, RATE, at_once)
        for name, at_once in {"b": 0, "c": steps_per_call}.items()
        if name in names
    }
    return {"reference": reference, "flops": flops, "a": update, **ours}


def check(steps: dict[str, Callable]) -> float:
    """Return the largest relative difference of losses and gradients from (a)'s.

    Raises:
      RuntimeError: A difference exceeds `TOLERANCE`.
    """
    wanted = steps["reference"]()
    errors = []
    for name in [name for name in "bc" if name in steps]:
        results = steps[name].differentiate()
        for value, other in zip(results, wanted, strict=True):
            errors.append(float(np.abs(value - other).max() / np.abs(other).max()))
        if not max(errors) < TOLERANCE:
            raise RuntimeError(f"({name}) and (a) differ by {max(errors):.1e}.")
    return max(errors)


def seconds(step: Callable[[], int], repeats: int) -> float:
    """Return the median seconds per step, after a call to warm up and until `ENOUGH`."""
    step()
    measured = []
    began = time.perf_counter()
    while len(measured) < repeats and time.perf_counter() - began < ENOUGH:
        started = time.perf_counter()
        made = step()
        measured.append((time.perf_counter() - started) / made)
    return statistics.median(measured)


def machine_rate() -> float:
    """Return operations per second of a large matrix product in float32: what could be had."""
    side = 2048
    x = jnp.ones((side, side), jnp.float32)
    product = jax.jit(jnp.matmul)

    def once() -> int:
        jax.block_until_ready(product(x, x))
        return 1

    return 2 * side**3 / seconds(once, 5)


def measure(case: str, options: flags.FlagValues) -> dict[str, Any]:
    """Compare and time the three steps of one data set."""
    texts = Path(options.texts).expanduser()
    small = make_problem(case, options.size, texts, options.check_pairs)
    steps = make_steps(small, 1, 1)
    error = check(steps)
    say(f"{case}: agreed to {error:.1e}; timing")
    problem = make_problem(case, options.size, texts, options.batch)
    pairs = min(options.batch, len(problem.label))
    # Every pair costs (a) the same.
    flops = {"a": steps["flops"]() / options.check_pairs * pairs}
    steps = make_steps(problem, options.steps_per_call, 1 + options.repeats)
    step = steps["c"]
    flops |= {name: steps[name].flops for name in "bc"}
    text = step.frozen["text"]
    read = sum(x.nbytes for x in jax.tree.leaves(text)) - text["token_embedding"].nbytes
    return {
        "size": options.size,
        "classes": len(problem.templates),
        "pairs": pairs,
        "length": problem.prompts.shape[1],
        "depth": problem.prompts.shape[0],
        "error": error,
        "rate": machine_rate(),
        "seconds": {name: seconds(steps[name], options.repeats) for name in NAMES},
        "flops": flops,
        "bytes": {name: steps[name].bytes for name in "bc"},
        "temporary": {name: steps[name].temporary for name in "bc"},
        "compile_seconds": step.compile_seconds,
        "weights": read,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # KiB on Linux
        "where": describe_machine("jax", "flax", "torch", "transformers"),
    }


def main(argv: Sequence[str]) -> None:
    """Measure what is not finished and print a table for each data set."""
    del argv
    options = flags.FLAGS
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise UserError("this compares with PyTorch: pip install 'promptax[reference]'.")
    chosen = [case for case in CASES if re.search(options.only, case)]
    if not chosen:
        raise UserError(f"--only={options.only!r} fits none of {', '.join(CASES)}.")
    jax.config.update("jax_platforms", "cpu")
    path = Path(options.results).expanduser() if options.results else None
    results = read_json(path) if path and path.exists() else {}
    with jax.set_mesh(make_mesh(1, 1)):
        for case in chosen:
            if case in results:
                continue
            results[case] = measure(case, options)
            if path:
                write_json(path, results)
    print(show({case: results[case] for case in chosen}))


if __name__ == "__main__":
    run_command(main, define_flags)
