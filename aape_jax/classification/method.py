"""Few-shot classification as the training loop sees it."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.classification.baselines.context import LEARNERS
from aape_jax.classification.class_texts import UNREAD
from aape_jax.classification.evaluation import (
    Row,
    check_baselines,
    head_row,
    learned_rows,
    predict_all,
    report,
    text_rows,
)
from aape_jax.classification.inputs import open_inputs
from aape_jax.classification.material import Material, encode_all
from aape_jax.classification.measuring import measure_heads
from aape_jax.classification.outline import describe, training_examples
from aape_jax.classification.publishing import publish_classes
from aape_jax.classification.recipes import check_applied, with_defaults
from aape_jax.classification.summary import advice, fingerprints, summary
from aape_jax.core.diagnostics import attention_picture, drifted, teacher_report
from aape_jax.core.head import Head
from aape_jax.core.objective import Batch, Objective
from aape_jax.core.optimizer import check_counts, counts, make_optimizer
from aape_jax.core.presets import ALWAYS, class_kinds, say_repeated, variants
from aape_jax.task import Task, evaluated, summed
from common.checks import Range, Unread, check_ranges, check_unread
from common.config import changed
from common.paths import AnyPath
from common.protocols.epochs import steps_per_epoch
from common.training import Evaluation, RunInputs, say
from common.training.types import Card
from configs.aape import get_config


class Classification(Task):
    """Trains a run's own AAPE and the variants beside it, all in one program."""

    terms = MappingProxyType(
        {
            "task": "mean cross-entropy of the task",
            "distill": "mean distance of h(x) and the aggregated prompt",
        }
    )
    writes = ("confusion.png", "attention.png", "heads")
    evaluation_fields = ("baselines", "classifier.blend", "pictures", "targets")

    get_config = staticmethod(get_config)

    @classmethod
    def complete(cls, config: ConfigDict) -> ConfigDict:
        """Fill in the loop's counts where a schedule says them; others are refused then."""
        check_applied(config)
        config = with_defaults(config)
        if config.schedule == "counts":
            return config
        planned = counts(config, training_examples(config))
        check_counts(config, planned, get_config())
        return changed(config, planned)

    @property
    def unread(self) -> tuple[Unread, ...]:
        """Which fields nothing reads beside others; CoOp and CoCoOp read those of the optimizer."""
        return () if LEARNERS.keys() & {*self.config.baselines} else super().unread

    def open(self, mesh: Mesh) -> Mapping[str, str]:
        """Open photos, sentences and CLIP."""
        self._plan()
        self.opened, self.mesh = open_inputs(self.config), mesh
        return summary(self.opened)

    def encode(self) -> RunInputs:
        """Encode photos and sentences, or read them from the cache."""
        say_repeated(self.config, always=ALWAYS)
        for line in self.opened.idle:
            say(line)
        self.material = material = encode_all(self.opened)
        del self.opened
        classes = material.learned
        width = material.bank.classes.shape[-1]
        self._size(len(material.labels), width, len(classes), self.mesh)
        if line := advice(self.config, material):
            say(line)
        bank = material.bank.take(classes)
        frozen = {
            "x": material.x.astype(np.float32),
            "labels": material.labels.astype(np.int32),
            "classes": {
                kind: bank.features(kind).astype(np.float32) for kind in class_kinds(self.config)
            },
            "prompts": bank.prompts.astype(np.float32),
            "mask": bank.mask,
        }
        source = self.epochs(material.fingerprint, len(material.x))
        prints = fingerprints(self.config, material)
        return RunInputs(frozen, source, prints)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        self._plan()
        outline = describe(self.config)
        self._size(outline.examples, outline.width, outline.classes, mesh)
        return RunInputs(outline.frozen(self.config), self.epochs("abstract", self.config.views))

    def _plan(self) -> None:
        """Read every option, before anything slow is begun."""
        config = self.config
        check_baselines(config)
        check_unread(config, get_config(), UNREAD)
        check_ranges(config, {"pictures": Range(0), "views": Range(1)})
        self.variants = variants(config, always=ALWAYS)
        self.heads = {name: Head.from_config(x) for name, x in self.variants.items()}
        self.objectives = {name: Objective.from_config(x) for name, x in self.variants.items()}
        make_optimizer(config, 1, self.variants)

    def _size(self, examples: int, width: int, classes: int, mesh: Mesh) -> None:
        self.width, self.classes = width, classes
        self.divide(examples, self.config.batch, mesh)

    @property
    def names(self) -> Sequence[str]:
        """The variants that are trained side by side, the run's own first."""
        return tuple(self.variants)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the parameters of each variant; all of them start from the same key."""
        return {
            name: objective.init(key, self.width, self.classes, self.examples)
            for name, objective in self.objectives.items()
        }

    def optimizer(self) -> optax.GradientTransformation:
        """See `make_optimizer`."""
        an_epoch = steps_per_epoch(self.examples, self.batch_size)
        return make_optimizer(self.config, an_epoch, self.variants)

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the sum over variants, which share no parameter, and the metrics."""
        rows, views = batch["rows"], batch["views"]
        return summed(
            (name, x(trainable[name], as_batch(frozen, rows, views, x.head.classes), key))
            for name, x in self.objectives.items()
        )

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure every variant and baseline, and what the aggregators do."""
        tests = self.material.tests
        predicted = {
            name: predict_all(head, trainable[name]["head"], tests)
            for name, head in self.heads.items()
        }
        rows = {
            name: head_row(classes, trainable[name]["head"], tests)
            | self._taught(name, trainable[name], frozen)
            for name, classes in predicted.items()
        }
        told = report(predicted[self.name], tests)
        return evaluated(
            rows,
            self.baselines,
            pictures=told.pictures | self._attention(trainable[self.name], frozen),
            details=told.details,
            tables=told.tables,
        )

    @cached_property
    def baselines(self) -> Mapping[str, Row]:
        """The rows that training does not change."""
        return text_rows(self.material.tests) | learned_rows(self.config, self.material)

    def _taught(self, name: str, params: PyTree, frozen: PyTree) -> Row:
        """Return what a variant's aggregator does with all training photos."""
        objective = self.objectives[name]
        everything = as_batch(frozen, np.arange(self.examples), 0, objective.head.classes)
        metrics, _ = teacher_report(objective, params, everything, jax.random.key(0))
        prompts = self.material.bank.mask[self.material.learned].sum(axis=1)
        line = drifted(objective, metrics, own=name == self.name)
        if line and prompts.max() > 1:
            say(f"{name}: {line}")
        return metrics

    def _attention(self, params: PyTree, frozen: PyTree) -> dict[str, np.ndarray]:
        material: Material = self.material
        if not (self.config.pictures and material.photos and material.bank.sentences):
            return {}
        rows = np.unique(np.linspace(0, self.examples - 1, self.config.pictures).astype(int))
        objective = self.objectives[self.name]
        batch = as_batch(frozen, rows, 0, objective.head.classes)
        _, attention = teacher_report(objective, params, batch, jax.random.key(0))
        if attention is None:
            return {}
        sentences = material.bank.take(material.learned).sentences
        return {
            "attention": attention_picture(
                [material.photos.load(int(row)) for row in rows],
                [sentences[material.labels[row]] for row in rows],
                attention,
            )
        }

    @classmethod
    def publish(cls, config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
        """See `publish_classes`."""
        del workdir
        return publish_classes(config, out)

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """See `measure_heads`."""
        return measure_heads(config, workdir, data)


def as_batch(frozen: PyTree, rows: Int[Array | np.ndarray, "b"], views: object, kind: str) -> Batch:
    """Return the images of some rows, with the class features of a kind.

    `views` is one view or one for each.
    """
    return Batch(
        x=frozen["x"][views, rows],
        labels=frozen["labels"][rows],
        rows=jnp.asarray(rows),
        classes=frozen["classes"][kind],
        prompts=frozen["prompts"],
        mask=frozen["mask"],
    )
