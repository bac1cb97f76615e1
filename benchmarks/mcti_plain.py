"""The reference's arithmetic on our networks, plainly; and the caches of VAE posteriors."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PyTree

from benchmarks.mcti_problem import Problem, latent_shape
from common.diffusion import Modules
from mcti_jax.conditions import read_prompts
from mcti_jax.draws import Draws, draw
from mcti_jax.layout import class_bank, prepare
from mcti_jax.losses import classify, denoising_error
from mcti_jax.method import MCTI
from mcti_jax.networks import Networks

ENCODE_BATCH = 4


def cast(problem: Problem, dtype: DTypeLike) -> tuple[Modules, PyTree]:
    """Cast the networks and their weights to another precision."""
    source = problem.modules
    modules = Modules(
        *[module.clone(dtype=dtype) for module in (source.unet, source.vae, source.text_tower)],
        source.schedule,
    )
    params = jax.tree.map(lambda x: x.astype(dtype), problem.params)
    return modules, params | {"projection": problem.params["projection"]}


def draw_options(problem: Problem, samples: int, shared_features: bool) -> dict[str, Any]:
    """Return the options of `draw` that the method would choose."""
    return {
        "samples": samples,
        "feature_draws": problem.config.feature_draws,
        "latent": latent_shape(problem.modules.unet),
        "timesteps": problem.modules.schedule.num_train_timesteps,
        "templates": len(problem.prompts.ids),
        "shared_features": shared_features,
    }


def encode(problem: Problem, dtype: DTypeLike) -> list[np.ndarray]:
    """Compute the caches: mean and log variance of all pictures, each `[2 b h w c]`."""
    modules, params = cast(problem, dtype)
    run = jax.jit(partial(modules.vae.apply, method="encode"))
    weights = {"params": jax.device_put(params["vae"])}
    flat = problem.pixels.reshape(-1, *problem.pixels.shape[2:])
    parts = [run(weights, flat[i : i + ENCODE_BATCH]) for i in range(0, len(flat), ENCODE_BATCH)]
    joined = [np.concatenate(x) for x in zip(*[(p.mean, p.logvar) for p in parts], strict=True)]
    return [x.reshape(*problem.pixels.shape[:2], *x.shape[1:]) for x in joined]


class PlainStep:
    """The reference's arithmetic on our networks: the VAE in the step, one class, batch 1."""

    def __init__(self, problem: Problem, label: int, dtype: DTypeLike):
        self.problem, self.label = problem, label
        self.modules, params = cast(problem, dtype)
        table = params["text"]["token_embedding"]
        prompts = prepare(table, problem.prompts, problem.config.pool)
        bank = class_bank(problem.features, problem.labels, problem.classes, prototypes=False)
        self.pictures = problem.by_class(problem.pixels)
        self.frozen = jax.device_put({"params": params, "prompts": prompts, "bank": bank})
        entries, counts = jnp.full(1, self.pictures.shape[1]), jnp.asarray(bank.counts)
        self.draw = jax.jit(
            lambda key, label: draw(key, label, entries, counts, **draw_options(problem, 1, False))
        )
        self.optimizer = MCTI(problem.config).optimizer()
        self.vectors = jnp.asarray(problem.start)
        self.opt_state = self.optimizer.init(self.vectors)
        self.update = jax.jit(self._update)
        self.key, self.micro_steps = jax.random.key(0), 0

        lowered = jax.jit(jax.value_and_grad(self._loss)).lower(
            self.vectors,
            self.frozen,
            self.pictures[label],
            np.int32(label),
            self.draw(self.key, jnp.array([label])),
        )
        self.flops = lowered.cost_analysis()["flops"]
        self.program = lowered.compile()
        self.memory = self.program.memory_analysis()

    def _loss(
        self, vectors: Array, frozen: PyTree, pictures: Array, label: Array, draws: Draws
    ) -> Float[Array, ""]:
        config, modules, params = self.problem.config, self.modules, frozen["params"]
        draws = jax.tree.map(lambda x: x[0], draws)
        networks = Networks(modules.unet, modules.schedule, modules.text_encoders, None, 1.0)
        moments = modules.vae.apply(
            {"params": params["vae"]}, pictures[draws.entry], method="encode"
        )
        latents = modules.vae.config.scaling_factor * moments.sample(draws.posterior)
        output = read_prompts(
            modules.text_tower, params["text"], frozen["prompts"], draws.template, vectors[None]
        )
        states = output.last_hidden_state
        mse = denoising_error(
            networks, params["unet"], states, latents, draws.noise, draws.timestep
        )
        features = frozen["bank"].features[jnp.arange(self.problem.classes), draws.feature]
        text = output.pooled.astype(jnp.float32) @ params["projection"]
        ce, _ = classify(text, features, label[None], config.logit_scale)
        return (config.alpha * mse + config.gamma * ce).sum()

    def _update(self, vectors: Array, opt_state: PyTree, gradients: list) -> tuple:
        mean = sum(gradients) / len(gradients)
        changes, opt_state = self.optimizer.update(mean, opt_state, vectors)
        return optax.apply_updates(vectors, changes), opt_state

    def _run(self, vectors: Array, label: int, draws: Draws) -> tuple[float, Array]:
        example = self.pictures[label], np.int32(label)
        loss, gradient = self.program(vectors, self.frozen, *example, draws)
        return float(loss), gradient

    def __call__(self) -> int:
        """Make one update of one class; return its samples."""
        gradients = []
        for _ in range(self.problem.config.samples):
            key = jax.random.fold_in(self.key, self.micro_steps)
            draws = self.draw(key, jnp.array([self.label]))
            gradients.append(self._run(self.vectors, self.label, draws)[1])
            self.micro_steps += 1
        self.vectors, self.opt_state = self.update(self.vectors, self.opt_state, gradients)
        return len(gradients)

    def differentiate(self, draws: Draws, label: int) -> tuple[float, np.ndarray]:
        """Return loss and gradient `[1 d]` of a class at the start, with its given draws."""
        parts = [
            self._run(
                jnp.asarray(self.problem.start),
                label,
                jax.tree.map(lambda x, i=i: x[label, i][None, None], draws),
            )
            for i in range(draws.template.shape[1])
        ]
        losses, gradients = zip(*parts, strict=True)
        return float(np.mean(losses)), np.mean(gradients, axis=0)
