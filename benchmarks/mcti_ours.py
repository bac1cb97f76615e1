"""MC-TI's training step as the loop runs it: caches, all classes, several updates a call."""

import time
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.typing import DTypeLike

from benchmarks.mcti_plain import cast, draw_options
from benchmarks.mcti_problem import Problem
from common.flops import count_flops
from common.hosts import place
from common.training.mesh import make_mesh
from common.training.sharding import shardings
from common.training.state import TrainState, init_state, state_shardings
from common.training.step import Feed, feed_shardings, make_call, make_feed
from mcti_jax.draws import Draws, draw
from mcti_jax.layout import RowLayout, class_bank, class_latents, prepare
from mcti_jax.method import MCTI, Steps
from mcti_jax.networks import Networks
from mcti_jax.objective import Objective


class RandomMCTI:
    """MC-TI as a training step sees it: nothing is loaded or evaluated."""

    trainable_rules = MCTI.trainable_rules
    frozen_rules = MCTI.frozen_rules
    batch_rules = MCTI.batch_rules

    def __init__(self, objective: Objective):
        self.loss = objective

    def optimizer(self) -> optax.GradientTransformation:
        """Return the method's own optimizer."""
        return MCTI(self.loss.config).optimizer()


class OurStep:
    """The loop's own program: cached posteriors, all classes, several updates in a call."""

    def __init__(self, problem: Problem, posteriors: list[np.ndarray], dtype: DTypeLike):
        self.problem, config = problem, problem.config
        modules, params = cast(problem, dtype)
        self.layout = RowLayout.of(config, problem.classes, devices=1)
        bank = class_bank(problem.features, problem.labels, problem.classes, config.prototypes)
        frozen = {
            "params": {name: params[name] for name in ("text", "unet", "projection")},
            "prompts": (prepare(params["text"]["token_embedding"], problem.prompts, config.pool),),
            "bank": bank,
            "rows": class_latents(self.layout, *posteriors, problem.labels),
            "start": problem.start,
        }
        scale = modules.vae.config.scaling_factor
        networks = Networks(modules.unet, modules.schedule, modules.text_encoders, None, scale)
        method = RandomMCTI(Objective(networks, self.layout, config))

        self.mesh = make_mesh(data=1, model=1)
        self.method, self.source = method, Steps("random")
        self.key = place(jax.random.key(1), NamedSharding(self.mesh, jax.P()))
        self.frozen = place(frozen, shardings(frozen, method.frozen_rules, self.mesh))
        self.state, self.step = self.first(), 0

    @cached_property
    def traced(self) -> jax.stages.Traced:
        """The program before any compiler saw it."""
        where = jax.tree.map(lambda leaf: leaf.sharding, self.state)
        with jax.set_mesh(self.mesh):
            call = make_call(self.method, where, self.mesh)
            return call.trace(self.state, self.frozen, self.key, self.feed(1))

    @cached_property
    def lowered(self) -> jax.stages.Lowered:
        """The program that the compiler is given."""
        with jax.set_mesh(self.mesh):
            return self.traced.lower()

    @cached_property
    def program(self) -> jax.stages.Compiled:
        """The compiled program; `compile_seconds` says how long that took."""
        lowered = self.lowered
        started = time.perf_counter()
        with jax.set_mesh(self.mesh):
            program = lowered.compile()
        self.compile_seconds = time.perf_counter() - started
        return program

    @property
    def flops(self) -> float:
        """Operations of a sample by the compiler's count, a kernel's left out."""
        # The count takes the body of a loop once, whatever its length.
        at_once = self.layout.at_once * self.problem.config.samples
        return self.lowered.cost_analysis()["flops"] / at_once

    @property
    def products(self) -> float:
        """Operations of a sample's matrix products and convolutions, a kernel's left out."""
        samples = self.problem.steps_per_call * self.layout.size * self.problem.config.samples
        return count_flops(self.traced.jaxpr) / samples

    @property
    def memory(self) -> Any:
        """What the compiled program holds on the device."""
        return self.program.memory_analysis()

    def first(self) -> TrainState:
        """Return the state before the first update."""
        tokens = np.broadcast_to(self.problem.start, (self.layout.size, *self.problem.start.shape))
        state = init_state({"tokens": jnp.asarray(tokens)}, self.method.optimizer())
        return place(state, state_shardings(state, self.method.trainable_rules, self.mesh))

    def feed(self, updates: int, start: int = 0) -> Feed:
        """Return what a call of so many updates reads."""
        steps = range(start, start + updates)
        feed = make_feed(self.source, steps, self.problem.steps_per_call)
        return place(feed, feed_shardings(feed, self.method.batch_rules, self.mesh))

    def __call__(self) -> int:
        """Make one call; return its samples."""
        updates = self.problem.steps_per_call
        feed = self.feed(updates, self.step)
        self.state, report = self.program(self.state, self.frozen, self.key, feed)
        jax.block_until_ready(report)
        self.step += updates
        return updates * self.problem.classes * self.problem.config.samples

    def draws(self) -> Draws:
        """Return what the first update draws."""
        config, rows = self.problem.config, self.frozen["rows"]
        return draw(
            jax.random.fold_in(self.key, 0),
            rows.label,
            rows.entries,
            self.frozen["bank"].counts,
            **draw_options(self.problem, config.samples, config.shared_features),
        )

    def differentiate(self) -> tuple[float, np.ndarray]:
        """Return the first update's loss, summed over classes, and its gradients `[k 1 d]`.

        The very program that is timed makes one update; AdamW's first moment is then the
        gradient times 1 - beta1.
        """
        state, report = self.program(self.first(), self.frozen, self.key, self.feed(1))
        moment = np.asarray(state.opt_state[0].mu["tokens"]) / (1 - self.problem.config.beta1)
        return float(report.sums["loss"]), self.layout.by_variant(moment)[0]
