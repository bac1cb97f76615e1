"""Few-shot classification as the training loop sees it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Int, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.classification import evaluation
from aape_jax.classification.evaluation import (
    Row,
    check_baselines,
    head_row,
    learned_rows,
    text_rows,
)
from aape_jax.classification.inputs import open_inputs
from aape_jax.classification.material import Material, encode_all
from aape_jax.classification.outline import describe, training_examples
from aape_jax.classification.recipes import check_applied, with_defaults
from aape_jax.classification.summary import fingerprints, summary
from aape_jax.core.diagnostics import attention_picture, teacher_report, warn_if_drifted
from aape_jax.core.heads_file import write_heads
from aape_jax.core.objective import Batch, Objective
from aape_jax.core.optimizer import counts, make_optimizer, steps_per_epoch
from aape_jax.core.presets import ALWAYS, variants
from aape_jax.task import Epochs
from common.checks import Range, check_ranges
from common.config import choose_config
from common.evaluation.figures import write_png
from common.paths import AnyPath
from common.training import Evaluation, Method, RunInputs, say
from common.training.method import Tell, unheard
from common.training.start import RANGES
from configs.aape import get_config


class Classification(Method):
    """Trains a run's own AAPE and the variants beside it, all in one program."""

    name = "aape"
    terms = MappingProxyType(
        {
            "task": "mean cross-entropy of the task",
            "distill": "mean distance of h(x) and the aggregated prompt",
        }
    )
    writes = ("confusion.png", "attention.png", "heads")
    evaluation_fields = ("baselines", "pictures", "targets")

    def __init__(self, config: ConfigDict | None = None, **fields: Any):
        self.config = choose_config(get_config, config, fields)

    def complete(self, config: ConfigDict) -> ConfigDict:
        """Fill in the loop's counts, where a schedule says them and not the user."""
        check_applied(config)
        config = with_defaults(config)
        if config.schedule != "counts":
            config.update(counts(config, training_examples(config)))
        self.config = config
        return config

    def load(self, config: ConfigDict, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Encode photos and sentences, or read them from the cache."""
        self._plan(config)
        opened = open_inputs(config)
        tell(summary(opened))
        for line in opened.idle:
            say(line)
        self.material = material = encode_all(opened)
        classes = material.learned
        self._size(len(material.labels), material.bank.classes.shape[-1], len(classes), mesh)
        bank = material.bank.take(classes)
        frozen = {
            "x": material.x.astype(np.float32),
            "labels": material.labels.astype(np.int32),
            "classes": bank.classes.astype(np.float32),
            "prompts": bank.prompts.astype(np.float32),
            "mask": bank.mask,
        }
        source = self._source(material.fingerprint, len(material.x))
        prints = fingerprints(config, material)
        return RunInputs(frozen, source, prints)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        self._plan(self.config)
        outline = describe(self.config)
        self._size(outline.examples, outline.width, outline.classes, mesh)
        return RunInputs(outline.frozen(self.config), self._source("abstract", self.config.views))

    def _plan(self, config: ConfigDict) -> None:
        """Read every option, before anything slow is begun."""
        check_baselines(config)
        check_ranges(config, RANGES | {"pictures": Range(0)})
        self.variants = variants(config, always=ALWAYS)
        self.objectives = {name: Objective.from_config(own) for name, own in self.variants.items()}
        make_optimizer(config, 1, self.variants)

    def _size(self, examples: int, width: int, classes: int, mesh: Mesh) -> None:
        self.examples, self.width, self.classes = examples, width, classes
        self.batch_size = min(self.config.batch, examples)
        # A batch that the devices cannot share evenly is worked on by each of them.
        shared = self.batch_size % mesh.shape["data"] == 0
        self.batch_rules = ((".*", P("data")),) if shared else ()

    def _source(self, fingerprint: str, views: int) -> Epochs:
        return Epochs(fingerprint, self.examples, views, self.batch_size, self.config.seed)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the parameters of each variant; all of them start from the same key."""
        return {
            name: objective.init(key, self.width, self.classes, self.examples)
            for name, objective in self.objectives.items()
        }

    def optimizer(self) -> optax.GradientTransformation:
        """See `make_optimizer`."""
        an_epoch = steps_per_epoch(self.batch_size, self.examples)
        return make_optimizer(self.config, an_epoch, self.variants)

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the sum over variants, which share no parameter, and the metrics."""
        images = as_batch(frozen, batch["rows"], batch["views"])
        total, metrics = jnp.zeros(()), {}
        for name, objective in self.objectives.items():
            loss, own = objective(trainable[name], images, key)
            total += loss
            prefix = "" if name == self.name else f"{name}/"
            metrics |= {f"{prefix}{metric}": value for metric, value in own.items()}
        return total, metrics

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure every variant and baseline, and what the aggregators do."""
        rows = {name: self._variant_row(name, trainable[name], frozen) for name in self.objectives}
        own, *others = rows
        beside = {**self._baselines(), **{name: rows[name] for name in others}}
        self.pictures = self._pictures(trainable[own], frozen)
        return Evaluation(rows[own], beside, self.pictures)

    def _variant_row(self, name: str, params: PyTree, frozen: PyTree) -> Row:
        objective = self.objectives[name]
        row = head_row(objective.head, params["head"], self.material.tests)
        everything = as_batch(frozen, np.arange(self.examples), 0)
        metrics, _ = teacher_report(objective, params, everything, jax.random.key(0))
        warn_if_drifted(name, metrics)
        return row | metrics

    def _baselines(self) -> Mapping[str, Row]:
        if not hasattr(self, "_measured"):
            material = self.material
            self._measured = text_rows(material.tests) | learned_rows(self.config, material)
        return self._measured

    def _pictures(self, params: PyTree, frozen: PyTree) -> dict[str, np.ndarray]:
        material: Material = self.material
        head, tests = self.objectives[self.name].head, list(material.tests.values())
        found = {}
        if tests:
            found["confusion"] = evaluation.confusion(head, params["head"], tests[0])
        if not (self.config.pictures and material.photos and material.bank.sentences):
            return found
        shown = np.linspace(0, self.examples - 1, self.config.pictures).astype(int)
        batch = as_batch(frozen, shown, 0)
        _, attention = teacher_report(self.objectives[self.name], params, batch, jax.random.key(0))
        sentences = material.bank.take(material.learned).sentences
        return found | {
            "attention": attention_picture(
                [material.photos.load(int(row)) for row in shown],
                [sentences[material.labels[row]] for row in shown],
                attention,
            )
        }

    def save(self, trainable: PyTree, workdir: AnyPath) -> None:
        """Write h and g of each variant, `heads/NAME.safetensors`, and the pictures."""
        write_heads(workdir, trainable)
        for name, picture in self.pictures.items():
            write_png(workdir / f"{name}.png", picture)


def as_batch(frozen: PyTree, rows: Int[Array | np.ndarray, "b"], views: object) -> Batch:
    """Return the images of some rows; `views` is one view or one for each."""
    return Batch(
        x=frozen["x"][views, rows],
        labels=frozen["labels"][rows],
        rows=jnp.asarray(rows),
        classes=frozen["classes"],
        prompts=frozen["prompts"],
        mask=frozen["mask"],
    )
