"""A task of AAPE: h takes photos of one class to one place, and is measured by neighbours."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax

from aape_jax.core.generator import Generator
from aape_jax.core.presets import variants
from aape_jax.core.unit import unit
from aape_jax.task import Task, evaluated, summed
from common.clip import load_clip
from common.config import apply_arg
from common.data import open_dataset
from common.data.clip_features import image_features
from common.evaluation.baselines import nearest_neighbour
from common.evaluation.classification import accuracy, normalise
from common.precision import frozen_dtype
from common.training import RunInputs
from configs import aape_retrieval


def get_config(arg=None):
    config = aape_retrieval.defaults()
    config.method = "tests.extending.same_class:SameClass"
    config.data = "pocket:rare"
    config.compare = ("plain",)
    return apply_arg(config, arg)


class SameClass(Task):
    get_config = staticmethod(get_config)

    def open(self, mesh):
        config = self.config
        configs = variants(config, {"plain": {"generator.residual": "none"}})
        self.generators = {name: Generator.from_config(x.generator) for name, x in configs.items()}
        self.dataset = open_dataset(config.data)
        self.clip = load_clip(config.model, frozen_dtype(config.dtype))
        self.width = self.clip.config.vision.projection
        self.divide(len(self.dataset.train), config.batch, mesh)
        return {
            "classes": str(len(self.dataset.classnames)),
            "learns from": f"{self.examples} photos",
        }

    def encode(self):
        cache = Path(self.config.cache).expanduser()
        train, self.test = self.dataset.train, self.dataset.test
        x = normalise(image_features(self.clip, train, cache))
        self.queries = normalise(image_features(self.clip, self.test, cache))
        frozen = {"x": x, "labels": train.labels.astype(np.int32)}
        return RunInputs(frozen, self.epochs(train.fingerprint), {"model": self.clip.fingerprint})

    @property
    def names(self):
        return tuple(self.generators)

    def init(self, key):
        return {
            name: {"head": {"generator": generator.init(key, self.width)}}
            for name, generator in self.generators.items()
        }

    def loss(self, trainable, frozen, batch, key):
        x, labels = frozen["x"][batch["rows"]], frozen["labels"][batch["rows"]]
        others = 1 - jnp.eye(len(x))
        same = (labels[:, None] == labels) * others

        def outcome(name, generator):
            h = unit(generator(trainable[name]["head"]["generator"], x))
            logits = h @ h.T / self.config.loss.tau
            odds = optax.losses.safe_softmax_cross_entropy(logits - 1e9 * (1 - others), same)
            task = odds.sum() / jnp.maximum(same.sum(), 1)
            return task, {"task": task}

        return summed((name, outcome(name, x)) for name, x in self.generators.items())

    def evaluate(self, trainable, frozen):
        train, labels = np.asarray(frozen["x"]), np.asarray(frozen["labels"])

        def row(place):
            found = nearest_neighbour(place(train), labels, place(self.queries))
            return {"accuracy": accuracy(found, self.test.labels)}

        def placed(name):
            params = trainable[name]["head"]["generator"]
            return lambda x: np.asarray(unit(self.generators[name](params, jnp.asarray(x))))

        rows = {name: row(placed(name)) for name in self.names}
        return evaluated(rows, {"clip": row(np.asarray)})
