"""Methods in a few lines, to be compiled in a second."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from common.aot.report import Memory, ProgramReport
from common.training.method import Method
from common.training.types import Evaluation, RunInputs, unheard

ROWS, WIDTH = 16, 128  # whole lanes: a TPU pads the rest


def get_config(arg=None):
    config = ConfigDict(
        {
            "method": "tests.aot.toy:" + (arg or "ByRow"),
            "data": "toy",
            "model": "none",
            "seed": 0,
            "updates": 20,
            "gib": 64,
            "steps_per_call": 5,
            "log_every": 5,
            "save_every": 5,
            "eval_every": 0,
            "keep": 1,
            "mesh": {"data": -1, "model": 1},
            "compile_cache": "",
            "progress": False,
            "wandb": "",
        }
    )
    return config


def report(peak=2**30, **fields):
    """A report of a program that nobody compiled."""
    memory = Memory(0, 0, 0, 0, peak, 10 * 2**30)
    return ProgramReport(
        **{
            "method": "toy",
            "topology": "v5e:2x4",
            "device": "TPU v5 lite",
            "mesh": {"data": 8, "model": 1},
            "updates_per_call": 1,
            "trace_seconds": 0.1,
            "compile_seconds": 0.2,
            "memory": memory,
            "flops": 197_000_000_000,
            "traffic": 819_000_000,
            "collectives": (),
            "config": {},
        }
        | fields
    )


class Noise:
    fingerprint = "toy"

    def batch(self, step):
        rng = np.random.default_rng(step)
        return {"x": rng.normal(size=(ROWS, WIDTH)).astype(np.float32)}


class ByRow(Method):
    """Each row has parameters of its own, sharded like the rows: no gradient is shared."""

    name = "by_row"
    trainable_rules = (("w", jax.P("data")),)
    frozen_rules = (("target", jax.P("data")),)
    batch_rules = (("x", jax.P("data")),)
    shape = (ROWS, WIDTH)

    get_config = staticmethod(get_config)

    def load(self, mesh, tell=unheard):
        return RunInputs({"target": np.ones((ROWS, WIDTH), np.float32)}, Noise())

    def abstract(self, mesh):
        return RunInputs({"target": jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32)}, Noise())

    def init(self, key):
        return {"w": jax.random.normal(key, self.shape)}

    def optimizer(self):
        return optax.adam(1e-3)

    def loss(self, trainable, frozen, batch, key):
        error = (trainable["w"] * batch["x"] - frozen["target"]) ** 2
        return error.sum(), {"worst": error.max()}

    def evaluate(self, trainable, frozen):
        return Evaluation({})

    def save(self, trainable, evaluation, workdir): ...

    def read(self, workdir): ...


class Shared(ByRow):
    """One matrix for all rows: its gradient is summed over the devices."""

    name = "shared"
    trainable_rules = ()
    shape = (WIDTH, WIDTH)

    def loss(self, trainable, frozen, batch, key):
        error = (batch["x"] @ trainable["w"] - frozen["target"]) ** 2
        return error.sum(), {"worst": error.max()}


class Sized(ByRow):
    """Reads `gib` GiB."""

    def abstract(self, mesh):
        loaded = super().abstract(mesh)
        size = self.config.gib * 2**28
        frozen = loaded.frozen | {"rest": jax.ShapeDtypeStruct((size,), jnp.float32)}
        return RunInputs(frozen, loaded.source)

    def loss(self, trainable, frozen, batch, key):
        loss, metrics = super().loss(trainable, frozen, batch, key)
        return loss + frozen["rest"].sum(), metrics
