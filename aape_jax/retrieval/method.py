"""Image-to-text retrieval as the training loop sees it: h alone, without g."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Key, PyTree

from aape_jax.core.head import parameter_count
from aape_jax.core.losses import contrastive
from aape_jax.core.objective import Objective, PromptedImages, prompt_objective
from aape_jax.core.optimizer import make_optimizer
from aape_jax.core.presets import say_repeated, variants
from aape_jax.core.start import read_start, require_same_models, started
from aape_jax.core.summary import (
    TEST_DATA,
    array_digest,
    encoders,
    evaluation_fingerprints,
    pairs_summary,
)
from aape_jax.core.texts import by_class
from aape_jax.core.unit import unit
from aape_jax.retrieval.features import (
    RetrievalFeatures,
    encode_retrieval_set,
    open_retrieval_set,
    width_of,
)
from aape_jax.retrieval.recall import recalls
from aape_jax.task import Task, evaluated, summed
from common.checks import Range, check_ranges
from common.clip.known import describe_clip
from common.errors import UserError
from common.protocols.models import cache_of, clip_of
from common.training import Evaluation, RunInputs
from common.training.summary import unread_counts
from configs.aape_retrieval import get_config

VARIANTS = {
    "paper": {
        "aggregator.kind": "paper",
        "aggregator.heads": 8,
        "generator.hidden": 0,
        "generator.residual": "none",
    },
    "no_distillation": {"loss.distill": False},
    "mean_prompt": {"aggregator.kind": "mean"},
}
ALWAYS = ("paper",)
"""Trained beside every run."""


class Retrieval(Task):
    """Trains a run's own h and the variants beside it, all in one program."""

    terms = MappingProxyType(
        {
            "task": "mean cross-entropy of an image's caption among a batch's",
            "distill": "mean distance of h(x) and the aggregated prompt",
        }
    )
    evaluation_fields = ("queries_at_once", "text_to_image")

    get_config = staticmethod(get_config)

    def open(self, mesh: Mesh) -> Mapping[str, str]:
        """Open images, captions and CLIP."""
        config = self.config
        self._plan()
        self.sets = open_retrieval_set(config.data, config.model)
        self.clip = clip_of(config)
        (images, texts), (tests, _) = self.sets["train"].counts, self.sets["test"].counts
        self._size(images, width_of(self.sets["train"], self.clip), mesh)
        if self.started:
            jax.eval_shape(self.init, jax.random.key(0))  # Refuses an h of other sizes.
            require_same_models("start", config.start, self.models)
        unread = unread_counts(config, {"examples": images})
        return pairs_summary(images, texts, tests, "captions") | unread

    def encode(self) -> RunInputs:
        """Encode images and captions, or read them from the cache."""
        say_repeated(self.config, VARIANTS, ALWAYS)
        parts = encode_retrieval_set(self.sets, self.clip, cache_of(self.config))
        train, self.test = parts["train"], parts["test"]
        prompts, mask = by_class(train.captions, train.owner, len(train.x))
        frozen = {"x": train.x, "prompts": prompts.astype(np.float32), "mask": mask}
        source = self.epochs(train.fingerprint)
        prints = encoders(self.clip) | self._test_print
        if self.started:
            prints["start"] = array_digest(self.started)
        del self.sets, self.clip
        return RunInputs(frozen, source, prints)

    def encode_test(self) -> tuple[PyTree, Mapping[str, str]]:
        """Encode the test images and their captions."""
        test = {"test": self.sets["test"]}
        self.test = encode_retrieval_set(test, self.clip, cache_of(self.config))["test"]
        return {}, self._test_print

    @property
    def _test_print(self) -> Mapping[str, str]:
        return evaluation_fingerprints({TEST_DATA: self.test.fingerprint})

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        config = self.config
        self._plan()
        if not (config.examples and config.model):
            raise UserError(
                f"examples={config.examples}: compiling without the images of {config.data!r} "
                "needs their number and a model, e.g. examples=113287."
            )
        width = describe_clip(config.model, image_size=config.image_size).config.vision.projection
        self._size(config.examples, width, mesh)
        prompts = (config.examples, config.captions)
        frozen = {
            "x": jax.ShapeDtypeStruct((config.examples, width), jnp.float32),
            "prompts": jax.ShapeDtypeStruct((*prompts, width), jnp.float32),
            "mask": jax.ShapeDtypeStruct(prompts, jnp.bool_),
        }
        return RunInputs(frozen, self.epochs("abstract"))

    def _plan(self) -> None:
        config = self.config
        self.objectives = {
            name: prompt_objective(variant)
            for name, variant in variants(config, VARIANTS, ALWAYS).items()
        }
        self.started = {name: read_start(config, name) for name in self.objectives if config.start}
        check_ranges(config, {"queries_at_once": Range(1)})
        make_optimizer(config, 1)

    def _size(self, examples: int, width: int, mesh: Mesh) -> None:
        self.width = width
        self.divide(examples, self.config.batch, mesh)

    @property
    def names(self) -> Sequence[str]:
        """The variants that are trained side by side, the run's own first."""
        return tuple(self.objectives)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the parameters of each variant; all of them start from the same key.

        Raises:
          UserError: The run of `config.start` has an h of other sizes.
        """
        params = {
            name: objective.init(key, self.width, self.examples, self.examples)
            for name, objective in self.objectives.items()
        }
        for name, generator in self.started.items():
            head = params[name]["head"]
            head["generator"] = started(self.config.start, generator, head["generator"])
        return params

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """Return CLIP's loss between h(x) and a drawn caption, and the aggregator's loss."""
        rows = batch["rows"]
        drawing, teaching = jax.random.split(key)
        odds = jnp.where(frozen["mask"][rows], 0.0, -jnp.inf)
        drawn = jax.random.categorical(drawing, odds)
        # One gather of the large array: two would each want it in a layout of their own, and the
        # compiler for TPU copied all of it in every update.
        prompts = frozen["prompts"][rows]
        captions = jnp.take_along_axis(prompts, drawn[:, None, None], axis=1)[:, 0]
        images = PromptedImages(frozen["x"][rows], prompts, frozen["mask"][rows], rows)

        def outcome(name: str, objective: Objective) -> tuple[Array, dict[str, Array]]:
            params = trainable[name]
            h = objective.head.generator(params["head"]["generator"], images.x)
            task = contrastive(h, captions, rows, objective.head.tau)
            taught, watched = objective.teach(params, images, h, teaching)
            return task + taught, {"task": task, **watched}

        return summed((name, outcome(name, x)) for name, x in self.objectives.items())

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure recall at 1, 5 and 10 of every variant, beside CLIP's own image features."""
        del frozen
        rows = {}
        for name, objective in self.objectives.items():
            params = trainable[name]["head"]
            h = unit(objective.head.generator(params["generator"], jnp.asarray(self.test.x)))
            rows[name] = self._row(np.asarray(h)) | {"parameters": float(parameter_count(params))}
        return evaluated(rows, {"clip": self._row(self.test.x)})

    def _row(self, queries: np.ndarray) -> dict[str, float]:
        test: RetrievalFeatures = self.test
        images, at_once = np.arange(len(test.x)), self.config.queries_at_once
        both = {
            "image_to_text": (queries, images, test.captions, test.owner),
            "text_to_image": (test.captions, test.owner, queries, images),
        }
        if not self.config.text_to_image:
            del both["text_to_image"]
        return {
            f"{way}/{name}": value
            for way, arguments in both.items()
            for name, value in recalls(*arguments, self.mesh, at_once).items()
        }
