"""A method in one page, to drive the loop with: K small regressions, sharded over devices.

Run as a program it trains into a folder: `python toy.py --workdir=DIR [--config.field=value]`.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from common.config import apply_arg, define_flags, read_flags
from common.errors import run_command
from common.files import atomic_write
from common.training import Evaluation, Method, RunInputs, train
from common.training.types import unheard

CLASSES, VECTORS, WIDTH, EXAMPLES = 8, 2, 4, 32


def get_config(arg: str | None = None) -> ConfigDict:
    config = ConfigDict(
        {
            "data": "toy",
            "model": "none",
            "seed": 3,
            "updates": 30,
            "steps_per_call": 5,
            "log_every": 10,
            "save_every": 5,
            "keep": 3,
            "eval_every": 10,
            "mesh": {"data": -1, "model": 1},
            "compile_cache": "",
            "progress": True,
            "wandb": "",
            "learning_rate": 0.1,
            "poison_at": -1,  # The loss of this step is not finite.
            "sleep": 0.0,  # Seconds that each batch takes.
        }
    )
    return apply_arg(config, arg)


class Indices:
    """Random rows of each class, drawn from (seed, step) alone."""

    fingerprint = "toy"

    def __init__(self, seed: int, sleep: float = 0.0) -> None:
        self._seed, self._sleep = seed, sleep

    def batch(self, step: int) -> dict[str, np.ndarray]:
        time.sleep(self._sleep)
        rows = np.random.default_rng((self._seed, step)).integers(EXAMPLES, size=(CLASSES, 4))
        return {"rows": rows.astype(np.int32), "step": np.int32(step)}


class Toy(Method):
    """Each class learns `tokens[k]` such that features @ sum of its vectors = targets."""

    name = "toy"
    trainable_rules = ((".*tokens", jax.P("data")),)
    frozen_rules = ((".*", jax.P("data")),)
    batch_rules = (("rows", jax.P("data")),)

    get_config = staticmethod(get_config)

    def load(self, mesh, tell=unheard) -> RunInputs:
        tell({"classes": str(CLASSES)})
        rng = np.random.default_rng(0)
        features = rng.normal(size=(CLASSES, EXAMPLES, WIDTH)).astype(np.float32)
        truth = rng.normal(size=(CLASSES, WIDTH)).astype(np.float32)
        frozen = {"features": features, "targets": np.einsum("ked,kd->ke", features, truth)}
        return RunInputs(frozen, Indices(self.config.seed, self.config.sleep), {"weights": "none"})

    def init(self, key):
        return {"tokens": jax.random.normal(key, (CLASSES, VECTORS, WIDTH))}

    def optimizer(self):
        return optax.chain(optax.clip_by_global_norm(10.0), optax.adamw(self.config.learning_rate))

    def loss(self, trainable, frozen, batch, key):
        def one_class(tokens, features, targets, rows, index):
            noise = jax.random.normal(jax.random.fold_in(key, index), (WIDTH,))
            predicted = features[rows] @ (tokens.sum(0) + 0.01 * noise)
            return jnp.mean((predicted - targets[rows]) ** 2)

        losses = jax.vmap(one_class)(
            trainable["tokens"],
            frozen["features"],
            frozen["targets"],
            batch["rows"],
            jnp.arange(CLASSES),
        )
        poison = jnp.where(batch["step"] == self.config.poison_at, jnp.nan, 0.0)
        return losses.mean() + poison, {"worst": losses.max()}

    def evaluate(self, trainable, frozen) -> Evaluation:
        predicted = jnp.einsum("ked,kd->ke", frozen["features"], trainable["tokens"].sum(1))
        error = jnp.abs(predicted - frozen["targets"]).mean()
        picture = np.zeros((2, 3, 3), np.uint8)
        return Evaluation({"error": float(error)}, {"zero": 1.0}, {"black": picture})

    def save(self, trainable, evaluation, workdir) -> None:
        with atomic_write(workdir / "tokens.npy") as path:
            np.save(path, trainable["tokens"])

    def read(self, workdir):
        return {"tokens": np.load(workdir / "tokens.npy", allow_pickle=False)}


def main(_) -> None:
    run = read_flags()
    train(Toy(run.config), run.workdir)


if __name__ == "__main__":
    run_command(main, define_flags)
