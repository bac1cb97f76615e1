"""Seconds of ProText's training step, beside the reference's step in PyTorch.

    python -m benchmarks.protext_step --texts=FOLDER [--size=small|vit-b16] [--case=dtd,eurosat]

Three steps train on the same random tower and the paper's sentences, on the CPU:
(a) PyTorch as the reference does it: both encoders, 77 positions, a row per pair;
(b) the same arithmetic in JAX, targets cached;
(c) ours: distinct classes packed, prefix shared, several steps in one compiled call.
Before anything is timed, their losses and gradients are compared on a smaller batch.
"""

import functools
import importlib.metadata
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from jaxtyping import Array, PyTree

from benchmarks.protext_problem import BATCH, CASES, SIZES, Problem, make_problem
from common.aot.flops import count_flops
from common.clip import encode_text
from common.errors import UserError, run_command
from common.training.mesh import make_mesh
from common.weights.clip import HF_TEXT_TOWER
from common.weights.table import to_flax
from protext_jax.tower import unit

TOLERANCE = 1e-4
RATE = 0.03


def define_flags() -> None:
    """The command line."""
    flags.DEFINE_string("texts", "../shared/data/llm_prompts", "Folder of ProText's json.gz files.")
    flags.DEFINE_enum("size", "vit-b16", list(SIZES), "Size of the tower.")
    flags.DEFINE_list("case", list(CASES), "Data sets.")
    flags.DEFINE_integer("batch", BATCH, "Pairs of a step.", lower_bound=1)
    flags.DEFINE_integer("check_pairs", 12, "Pairs of the comparison.", lower_bound=2)
    flags.DEFINE_integer("repeats", 3, "Measurements of each step.", lower_bound=1)
    flags.DEFINE_integer("steps_per_call", 4, "Steps in a call of (c).", lower_bound=1)


class JaxStep:
    """(b) or (c): AdamW steps in one compiled call."""

    def __init__(self, problem: Problem, params: PyTree, targets: np.ndarray, steps: int):
        """`steps` is 0 for (b)."""
        self.source, self.steps = problem.batches(fast=bool(steps)), max(steps, 1)
        self.frozen = problem.frozen(params, targets)
        objective = problem.objective()
        optimizer = optax.adamw(RATE, b1=0.9, b2=0.98, weight_decay=0.1)
        self.prompts = {"prompts": jnp.asarray(problem.prompts)[None]}
        self.state, self.position = optimizer.init(self.prompts), 0
        self.grad = jax.value_and_grad(objective.__call__, has_aux=True)

        def call(prompts: PyTree, state: PyTree, frozen: PyTree, batches: PyTree) -> tuple:
            def one(carry: tuple, batch: PyTree) -> tuple[tuple, Array]:
                prompts, state = carry
                (loss, _), gradient = self.grad(prompts, frozen, batch)
                change, state = optimizer.update(gradient, state, prompts)
                return (optax.apply_updates(prompts, change), state), loss

            return jax.lax.scan(one, (prompts, state), batches)

        arguments = self.prompts, self.state, self.frozen, self._feed()
        jitted = jax.jit(call)
        self.flops = count_flops(jitted.trace(*arguments).jaxpr) / self.steps
        started = time.perf_counter()
        self.program = jitted.lower(*arguments).compile()
        self.compile_seconds = time.perf_counter() - started
        self.temporary = self.program.memory_analysis().temp_size_in_bytes

    def _feed(self) -> PyTree:
        steps = range(self.position, self.position + self.steps)
        batches = [self.source.batch(step) for step in steps]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

    def __call__(self) -> int:
        """Makes its steps, the host's share included; returns how many."""
        (self.prompts, self.state), losses = self.program(
            self.prompts, self.state, self.frozen, self._feed()
        )
        jax.block_until_ready(losses)
        self.position += self.steps
        return self.steps

    def differentiate(self) -> tuple[float, np.ndarray]:
        """Loss and gradient of the first batch."""
        first = jax.jit(self.grad)(self.prompts, self.frozen, self.source.batch(0))
        (loss, _), gradient = first
        return float(loss), np.asarray(gradient["prompts"][0])


def make_steps(problem: Problem, steps_per_call: int) -> dict[str, Callable]:
    """(a), (b) and (c), and (a)'s loss and gradient under "reference"."""
    import torch

    from benchmarks.protext_torch import TorchStep, published

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(0)
    theirs = TorchStep(problem.config, problem.prompts, RATE)
    params = to_flax(HF_TEXT_TOWER, published(theirs.state()))
    params["projection"] = {"kernel": theirs.model.text_projection.weight.numpy().T.copy()}
    source = problem.batches(fast=False)
    position = iter(range(10**9))

    def pairs(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = source.batch(step)["rows"][0]
        return problem.templates[problem.label[rows]], problem.sentences[rows]

    def update() -> int:
        theirs.update(*pairs(next(position)))
        return 1

    def reference() -> tuple[float, np.ndarray]:
        loss = theirs.loss(*pairs(0))
        gradient = torch.autograd.grad(loss, theirs.prompts)
        return loss.item(), np.stack([x.numpy() for x in gradient])

    targets = encode_targets(problem, params)
    return {
        "reference": reference,
        "a": update,
        "b": JaxStep(problem, params, targets, 0),
        "c": JaxStep(problem, params, targets, steps_per_call),
    }


def encode_targets(problem: Problem, params: PyTree, at_once: int = 64) -> np.ndarray:
    """Unit features of all sentences, sorted by length and cut."""
    ends = (problem.sentences == problem.config.eos).argmax(1)
    order = np.argsort(ends, kind="stable")
    encode = jax.jit(functools.partial(encode_text, problem.tower))
    targets = np.empty((len(order), problem.config.projection), np.float32)
    for start in range(0, len(order), at_once):
        rows = order[start : start + at_once]
        width = -(-(int(ends[rows].max()) + 1) // 16) * 16
        padded = np.resize(rows, at_once)
        found = unit(encode(params, jnp.asarray(problem.sentences[padded, :width])))
        targets[rows] = np.asarray(found)[: len(rows)]
    return targets


def check(steps: dict[str, Callable]) -> float:
    """The largest relative difference of losses and gradients from (a)'s.

    Raises:
      RuntimeError: a difference exceeds `TOLERANCE`.
    """
    wanted = steps["reference"]()
    errors = []
    for name in "bc":
        found = steps[name].differentiate()
        for own, other in zip(found, wanted, strict=True):
            errors.append(float(np.abs(own - other).max() / np.abs(other).max()))
        if not max(errors) < TOLERANCE:
            raise RuntimeError(f"({name}) and (a) differ by {max(errors):.1e}.")
    return max(errors)


def seconds(step: Callable[[], int], repeats: int) -> float:
    """Median seconds per step; the first call only warms up."""
    step()
    measured = []
    for _ in range(repeats):
        started = time.perf_counter()
        made = step()
        measured.append((time.perf_counter() - started) / made)
    return statistics.median(measured)


def report(case: str, options: flags.FlagValues) -> None:
    """Measures one data set and prints its table."""
    texts = Path(options.texts).expanduser()
    small = make_problem(case, options.size, texts, options.check_pairs)
    error = check(make_steps(small, 1))
    print(f"{case}: agreed to {error:.1e}; timing", file=sys.stderr)
    problem = make_problem(case, options.size, texts, options.batch)
    steps = make_steps(problem, options.steps_per_call)
    names = {"a": "PyTorch, the reference's step", "b": "JAX, plain", "c": "JAX, ours"}
    times = {name: seconds(steps[name], options.repeats) for name in names}
    classes, (depth, length, _) = problem.templates.shape[0], problem.prompts.shape
    print(f"\n### {case}: {classes} classes, T={length}, J={depth}, {options.size}\n")
    print("| step | s/step | ratio | GFLOP/step | GFLOP/s | XLA temporaries, MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, title in names.items():
        row = f"| ({name}) {title} | {times[name]:.4g} | {times['a'] / times[name]:.1f} |"
        if name == "a":
            print(f"{row} | | |")
            continue
        step, giga = steps[name], steps[name].flops / 1e9
        memory = step.temporary / 2**20
        print(f"{row} {giga:.4g} | {giga / times[name]:.3g} | {memory:.0f} |")
    weights = sum(x.nbytes for x in jax.tree.leaves(steps["c"].frozen["text"])) / 2**20
    table = steps["c"].frozen["text"]["token_embedding"].nbytes / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"\nBefore timing, losses and gradients agreed to {error:.1e}. (c) compiled in "
        f"{steps['c'].compile_seconds:.1f} s and reads {weights - table:.1f} MiB of "
        "weights forth and back in every step, which is what a few tokens cannot hide. "
        f"Peak memory of this process so far: {peak:.2f} GiB."
    )


def main(argv: Sequence[str]) -> None:
    """Prints a table for each data set."""
    del argv
    options = flags.FLAGS
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise UserError("this compares with PyTorch: pip install 'promptax[reference]'.")
    if unknown := sorted(set(options.case) - set(CASES)):
        raise UserError(f"--case={unknown[0]} is unknown; choose of {', '.join(CASES)}.")
    jax.config.update("jax_platforms", "cpu")
    with jax.set_mesh(make_mesh(1, 1)):
        for case in options.case:
            report(case, options)
    packages = ("jax", "flax", "torch", "transformers")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(
        f"\n{jax.devices()[0].device_kind}, {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} threads, load {os.getloadavg()[0]:.1f} (each thread of "
        f"this run counts 1), Python {platform.python_version()}, {versions}."
    )


if __name__ == "__main__":
    run_command(main, define_flags)
