"""AAPE's training step beside a direct port's and CoCoOp's, then the cost of the whole.

    python -m benchmarks.aape_step [--classes=100,1000] [--batch=32] [--seconds=5]
    python -m benchmarks.aape_step --cocoop_batch=1 --results=aape_step.md

Three steps at one size, on the same device, on random weights and pictures:
(a) direct: the image tower in every step, all prompts of the batch's classes encoded anew, and
    an array of batch x classes x width for the classifiers;
(b) ours: everything frozen from the cache, logits from factors;
(c) CoCoOp from cached image features: a pass of the text tower per image over all classes.
(a) and (b) are first compared on the same numbers. CoCoOp takes the images one after the other, so
`--cocoop_batch` measures it with fewer of them; rates are in images per second. `--towers=small` is
for trying it out. `benchmarks.aape_cost` says what whole trainings and predictions cost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from absl import flags
from jaxtyping import PyTree

from benchmarks import aape_cost
from benchmarks.aape_problem import SIZES, Problem, Towers
from benchmarks.machine import describe_machine
from benchmarks.timing import rates
from common.errors import run_command
from common.evaluation.tables import markdown_table

TOLERANCE = 1e-4
NAMES = {"a": "direct port", "b": "ours", "c": "CoCoOp, cached images"}


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_enum("towers", "vit-b-16", list(SIZES), "Sizes of CLIP.")
    flags.DEFINE_list("classes", ["100", "1000"], "Numbers of classes.")
    flags.DEFINE_integer("batch", 32, "Images of a step.", lower_bound=1)
    flags.DEFINE_integer("cocoop_batch", 0, "Images of CoCoOp's step; 0: as many.", lower_bound=0)
    flags.DEFINE_float("seconds", 5.0, "Least time of one measurement.", lower_bound=0)
    flags.DEFINE_integer("repeats", 3, "Measurements of each step.", lower_bound=1)
    flags.DEFINE_list("steps", list(NAMES), "Which steps: a, b, c.")
    flags.DEFINE_integer("epochs", 10, "Of the whole training; 10 is the base-to-new protocol's.")
    flags.DEFINE_string("results", "", "Markdown file that grows with each finished table.")


@dataclass
class Step:
    """A compiled update with its state."""

    run: Any
    state: PyTree
    frozen: PyTree
    temporary: int

    @classmethod
    def compile(cls, loss: Callable, params: PyTree, frozen: PyTree, rate: float) -> "Step":
        """Compile SGD with momentum on `loss(params, frozen)`."""
        optimizer = optax.sgd(rate, 0.9)

        def update(state: PyTree, frozen: PyTree) -> PyTree:
            params, moments = state
            gradient = jax.grad(loss)(params, frozen)
            change, moments = optimizer.update(gradient, moments, params)
            return optax.apply_updates(params, change), moments

        state = (params, optimizer.init(params))
        run = jax.jit(update).lower(state, frozen).compile()
        return cls(run, state, frozen, run.memory_analysis().temp_size_in_bytes)

    def __call__(self) -> None:
        """Make one update."""
        self.state = jax.block_until_ready(self.run(self.state, self.frozen))


def check(problems: Mapping[str, tuple[Callable, PyTree, PyTree]]) -> float:
    """Return the largest relative difference of (a)'s and (b)'s gradients.

    Raises:
      RuntimeError: It exceeds `TOLERANCE`.
    """
    first, second = (
        jax.tree.leaves(jax.jit(jax.grad(loss))(params, frozen))
        for loss, params, frozen in (problems[name] for name in "ab")
    )
    error = max(
        float(jnp.abs(x - y).max() / jnp.maximum(jnp.abs(y).max(), 1e-6))
        for x, y in zip(first, second, strict=True)
    )
    if not error < TOLERANCE:
        raise RuntimeError(f"(a) and (b) differ by {error:.1e}: they compute different things.")
    return error


def report(towers: Towers, classes: int, options: flags.FlagValues) -> str:
    """Measure one number of classes and return its table."""
    problem = Problem(towers, classes, options.batch)
    images = dict.fromkeys(options.steps, options.batch)
    problems = problem.steps([name for name in options.steps if name != "c"])
    if "c" in options.steps:
        images["c"] = options.cocoop_batch or options.batch
        problems |= Problem(towers, classes, images["c"]).steps("c")
    with jax.default_matmul_precision("highest"):
        agreed = f"{check(problems):.1e}" if {"a", "b"} <= set(problems) else "not compared"
    rate = problem.config.learning_rate
    steps = {name: Step.compile(*parts, rate) for name, parts in problems.items()}
    updates = rates(steps, options.seconds, options.repeats)
    speed = {name: updates[name] * images[name] for name in updates}
    rows = [
        [
            f"({name}) {NAMES[name]}",
            f"{images[name]}",
            f"{1e3 / updates[name]:.4g}",
            f"{speed[name]:.4g}",
            f"{speed[name] / min(speed.values()):.4g}",
            f"{step.temporary / 2**20:.1f}",
        ]
        for name, step in steps.items()
    ]
    columns = ["images", "ms a step", "images/s", "ratio to slowest", "temporaries, MiB"]
    table = markdown_table(["step", *columns], rows)
    title = f"### {classes} classes, batch {options.batch}"
    return f"{title}\n\n{table}\n\nLargest relative difference of (a) and (b): {agreed}."


def main(argv: Sequence[str]) -> None:
    """Print a table for each number of classes, then those of the whole."""
    del argv
    options = flags.FLAGS
    towers, classes = SIZES[options.towers], [int(number) for number in options.classes]
    where = f"{jax.devices()[0].device_kind}, {describe_machine('jax', 'flax')}"
    parts = [lambda number=number: report(towers, number, options) for number in classes]
    parts += [lambda: aape_cost.report(towers, classes, options), lambda: where]
    text = ""
    for part in parts:
        print(table := part(), end="\n\n", flush=True)
        text += f"{table}\n\n"
        if options.results:
            Path(options.results).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command(main, define_flags)
