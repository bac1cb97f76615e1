"""ProText's training step in JAX, plain and ours, as the benchmark drives it."""

import functools
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from benchmarks.protext_problem import Problem
from common.clip import encode_text
from common.clip.encode import unit
from common.flops import count_flops

AT_ONCE = 64
"""Sentences that are encoded together."""


class JaxStep:
    """(b) or (c): AdamW steps in one compiled call."""

    def __init__(
        self, problem: Problem, params: PyTree, targets: np.ndarray, rate: float, steps: int
    ):
        """Prepare the steps; `steps` is 0 for (b)."""
        self.source, self.steps = problem.batches(fast=bool(steps)), max(steps, 1)
        self.frozen = problem.frozen(params, targets)
        objective = problem.objective()
        optimizer = optax.adamw(rate, b1=0.9, b2=0.98, weight_decay=0.1)
        self.prompts = {"prompts": jnp.asarray(problem.prompts)[None]}
        self.state, self.position = optimizer.init(self.prompts), 0
        self.grad = jax.value_and_grad(objective.__call__, has_aux=True)

        def call(prompts: PyTree, state: PyTree, frozen: PyTree, batches: PyTree) -> tuple:
            def update(carry: tuple, batch: PyTree) -> tuple[tuple, Array]:
                prompts, state = carry
                (loss, _), gradient = self.grad(prompts, frozen, batch)
                change, state = optimizer.update(gradient, state, prompts)
                return (optax.apply_updates(prompts, change), state), loss

            return jax.lax.scan(update, (prompts, state), batches)

        arguments = self.prompts, self.state, self.frozen, self._feed()
        jitted = jax.jit(call)
        self.flops = count_flops(jitted.trace(*arguments).jaxpr) / self.steps
        started = time.perf_counter()
        self.program = jitted.lower(*arguments).compile()
        self.compile_seconds = time.perf_counter() - started
        self.temporary = self.program.memory_analysis().temp_size_in_bytes
        # The compiler's count sees the body of a loop once, which is one step.
        self.bytes = self.program.cost_analysis()["bytes accessed"]

    def _feed(self) -> PyTree:
        steps = range(self.position, self.position + self.steps)
        batches = [self.source.batch(step) for step in steps]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

    def __call__(self) -> int:
        """Make its steps, the host's share included; return how many.

        Raises:
          RuntimeError: A loss is not finite.
        """
        (self.prompts, self.state), losses = self.program(
            self.prompts, self.state, self.frozen, self._feed()
        )
        if not np.isfinite(losses).all():
            raise RuntimeError("a loss is not finite: a sentence without target was drawn.")
        self.position += self.steps
        return self.steps

    def differentiate(self) -> tuple[float, np.ndarray]:
        """Return loss and gradient of the first batch."""
        first = jax.jit(self.grad)(self.prompts, self.frozen, self.source.batch(0))
        (loss, _), gradient = first
        return float(loss), np.asarray(gradient["prompts"][0])


def encode_targets(problem: Problem, params: PyTree, steps: int) -> np.ndarray:
    """Return unit features of the sentences that the first `steps` steps draw, else NaN.

    They are sorted by length and cut.
    """
    ends = (problem.sentences == problem.config.eos).argmax(1)
    source = problem.batches(fast=False)
    drawn = np.unique(np.concatenate([source.batch(step)["rows"][0] for step in range(steps)]))
    order = drawn[np.argsort(ends[drawn], kind="stable")]
    encode = jax.jit(functools.partial(encode_text, problem.tower))
    targets = np.full((len(ends), problem.config.projection), np.nan, np.float32)
    for start in range(0, len(order), AT_ONCE):
        rows = order[start : start + AT_ONCE]
        width = -(-(int(ends[rows].max()) + 1) // 16) * 16
        padded = np.resize(rows, AT_ONCE)
        features = unit(encode(params, jnp.asarray(problem.sentences[padded, :width])))
        targets[rows] = np.asarray(features)[: len(rows)]
    return targets
