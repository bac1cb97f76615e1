"""A fourth method: a linear classifier on the image features of a CLIP."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from common.clip import load_clip
from common.config import apply_arg
from common.data import open_dataset
from common.data.clip_features import image_features
from common.evaluation.baselines import nearest_class_mean
from common.evaluation.classification import accuracy, normalise
from common.evaluation.figures import predictions_picture
from common.precision import frozen_dtype
from common.training import Evaluation, Method, RunInputs
from common.training.types import unheard
from common.weights.files import write_tensors
from common.weights.safetensors_file import read_safetensors

FILE = "probe.safetensors"


def get_config(arg=None):
    config = ConfigDict()
    config.method = "tests.extending.linear_probe:LinearProbe"
    config.data = "pocket:rare"
    config.model = "pocket"
    config.seed = 0
    config.batch = 32
    config.learning_rate = 0.1
    config.weight_decay = 1e-4

    # What the loop reads.
    config.updates = 40
    config.steps_per_call = 20
    config.log_every = 20
    config.save_every = 20
    config.eval_every = 0
    config.dtype = "auto"
    config.mesh = ConfigDict({"data": 1, "model": 1})
    config.keep = 1
    config.progress = False
    config.wandb = ""
    config.cache = "~/.cache/promptax/features"
    config.compile_cache = ""
    return apply_arg(config, arg)


@dataclass(frozen=True)
class RandomRows:
    """The source of batches: a pure function of the step, so that a run can resume anywhere."""

    fingerprint: str
    examples: int
    size: int
    seed: int

    def batch(self, step):
        draw = np.random.default_rng((self.seed, step))
        return {"rows": draw.integers(self.examples, size=self.size, dtype=np.int32)}


class LinearProbe(Method):
    name = "linear_probe"
    get_config = staticmethod(get_config)
    writes = (FILE, "confusion.png")

    def load(self, mesh, tell=unheard):
        config = self.config
        dataset = open_dataset(config.data)
        clip = load_clip(config.model, frozen_dtype(config.dtype))
        self.names, self.test = dataset.classnames, dataset.test
        self.width = clip.config.vision.projection
        tell({"classes": str(len(self.names)), "learns from": f"{len(dataset.train)} photos"})
        cache = Path(config.cache).expanduser()
        x = normalise(image_features(clip, dataset.train, cache))
        self.queries = normalise(image_features(clip, dataset.test, cache))
        frozen = {"x": x, "labels": dataset.train.labels.astype(np.int32)}
        source = RandomRows(dataset.train.fingerprint, len(x), config.batch, config.seed)
        return RunInputs(frozen, source, {"model": clip.fingerprint})

    def init(self, key):
        kernel = 0.01 * jax.random.normal(key, (self.width, len(self.names)))
        return {"kernel": kernel, "bias": jnp.zeros(len(self.names))}

    def optimizer(self):
        return optax.adamw(self.config.learning_rate, weight_decay=self.config.weight_decay)

    def loss(self, trainable, frozen, batch, key):
        x, labels = frozen["x"][batch["rows"]], frozen["labels"][batch["rows"]]
        logits = x @ trainable["kernel"] + trainable["bias"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), {"accuracy": (logits.argmax(-1) == labels).mean()}

    def evaluate(self, trainable, frozen):
        labels = self.test.labels
        logits = self.queries @ np.asarray(trainable["kernel"]) + np.asarray(trainable["bias"])
        train = jax.device_get((frozen["x"], frozen["labels"]))
        means = nearest_class_mean(*train, self.queries)
        return Evaluation(
            metrics={"accuracy": accuracy(logits.argmax(-1), labels)},
            baselines={"nearest_class_mean": {"accuracy": accuracy(means, labels)}},
            pictures={"confusion": predictions_picture(logits.argmax(-1), labels, self.names)},
        )

    def save(self, trainable, evaluation, workdir):
        write_tensors(workdir / FILE, trainable, {"format": self.name})

    def read(self, workdir):
        arrays, _ = read_safetensors(workdir / FILE)
        return {name: np.array(array) for name, array in arrays.items()}
