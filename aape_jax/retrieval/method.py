"""Image-to-text retrieval as the training loop sees it: h alone, without g."""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.core.head import parameter_count
from aape_jax.core.heads_file import write_heads
from aape_jax.core.losses import contrastive
from aape_jax.core.objective import Batch, retrieval_objective
from aape_jax.core.optimizer import make_optimizer, steps_per_epoch
from aape_jax.core.presets import variants
from aape_jax.core.start import read_start, started
from aape_jax.core.summary import TEST_DATA, array_digest, encoders, evaluation, pairs_summary
from aape_jax.core.texts import by_class
from aape_jax.core.unit import unit
from aape_jax.retrieval.features import (
    RetrievalFeatures,
    encode_retrieval_set,
    open_retrieval_set,
    width_of,
)
from aape_jax.retrieval.recall import recalls
from aape_jax.task import Epochs
from common.checks import Range, check_ranges
from common.clip import load_clip
from common.clip.known import describe_clip
from common.config import choose_config
from common.errors import UserError
from common.paths import AnyPath
from common.precision import frozen_dtype
from common.training import Evaluation, Method, RunInputs
from common.training.method import Tell, unheard
from common.training.start import RANGES
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


class Retrieval(Method):
    """Trains a run's own h and the variants beside it, all in one program."""

    name = "aape"
    terms = MappingProxyType(
        {
            "task": "mean cross-entropy of an image's caption among a batch's",
            "distill": "mean distance of h(x) and the aggregated prompt",
        }
    )
    writes = ("heads",)
    evaluation_fields = ("queries_at_once", "text_to_image")

    def __init__(self, config: ConfigDict | None = None, **fields: Any):
        self.config = choose_config(get_config, config, fields)

    def load(self, config: ConfigDict, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Encode images and captions, or read them from the cache."""
        self._plan(config)
        opened = open_retrieval_set(config.data, config.model)
        clip = load_clip(config.model, frozen_dtype(config.dtype)) if config.model else None
        (images, texts), (tests, _) = opened["train"].counts, opened["test"].counts
        self._size(images, width_of(opened["train"], clip), mesh)
        if self.started:
            jax.eval_shape(self.init, jax.random.key(0))  # Refuses an h of other sizes.
        tell(pairs_summary(images, texts, tests, "captions"))
        parts = encode_retrieval_set(opened, clip, Path(config.cache).expanduser())
        train, self.test = parts["train"], parts["test"]
        prompts, mask = by_class(train.captions, train.owner, len(train.x))
        frozen = {"x": train.x, "prompts": prompts.astype(np.float32), "mask": mask}
        source = self._source(train.fingerprint)
        prints = encoders(clip) | evaluation({TEST_DATA: self.test.fingerprint})
        if self.started:
            prints["start"] = array_digest(self.started)
        return RunInputs(frozen, source, prints)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        config = self.config
        self._plan(config)
        if not (config.examples and config.model):
            raise UserError(
                f"examples={config.examples}: compiling without the images of {config.data!r} "
                "needs their number and a model, e.g. examples=113287."
            )
        width = describe_clip(config.model, jnp.float32).config.vision.projection
        self._size(config.examples, width, mesh)
        prompts = (config.examples, config.captions)
        frozen = {
            "x": jax.ShapeDtypeStruct((config.examples, width), jnp.float32),
            "prompts": jax.ShapeDtypeStruct((*prompts, width), jnp.float32),
            "mask": jax.ShapeDtypeStruct(prompts, jnp.bool_),
        }
        return RunInputs(frozen, self._source("abstract"))

    def _plan(self, config: ConfigDict) -> None:
        self.objectives = {
            name: retrieval_objective(own)
            for name, own in variants(config, VARIANTS, always=("paper",)).items()
        }
        self.started = {
            name: read_start(config.start, name) for name in self.objectives if config.start
        }
        check_ranges(config, RANGES | {"queries_at_once": Range(1)})
        make_optimizer(config, 1)

    def _size(self, examples: int, width: int, mesh: Mesh) -> None:
        self.examples, self.width, self.mesh = examples, width, mesh
        self.batch_size = min(self.config.batch, examples)
        shared = self.batch_size % mesh.shape["data"] == 0
        self.batch_rules = ((".*", P("data")),) if shared else ()

    def _source(self, fingerprint: str) -> Epochs:
        return Epochs(fingerprint, self.examples, 1, self.batch_size, self.config.seed)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """Return the parameters of each variant; all of them start from the same key.

        Raises:
          UserError: the run of `config.start` has an h of other sizes.
        """
        params = {
            name: objective.init(key, self.width, self.examples, self.examples)
            for name, objective in self.objectives.items()
        }
        for name, generator in self.started.items():
            own = params[name]["head"]
            own["generator"] = started(self.config.start, generator, own["generator"])
        return params

    def optimizer(self) -> optax.GradientTransformation:
        """See `make_optimizer`."""
        return make_optimizer(self.config, steps_per_epoch(self.batch_size, self.examples))

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
        images = Batch(
            x=frozen["x"][rows],
            labels=jnp.arange(len(rows)),
            rows=rows,
            classes=captions,
            prompts=prompts,
            mask=frozen["mask"][rows],
        )
        total, metrics = jnp.zeros(()), {}
        for name, objective in self.objectives.items():
            params = trainable[name]
            h = objective.head.generator(params["head"]["generator"], images.x)
            task = contrastive(h, captions, rows, objective.head.tau)
            taught, own = objective.teach(params, images, h, teaching)
            total += task + taught
            prefix = "" if name == self.name else f"{name}/"
            metrics |= {f"{prefix}{n}": value for n, value in {"task": task, **own}.items()}
        return total, metrics

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure recall at 1, 5 and 10 of every variant, beside CLIP's own image features."""
        del frozen
        rows = {}
        for name, objective in self.objectives.items():
            params = trainable[name]["head"]
            h = unit(objective.head.generator(params["generator"], jnp.asarray(self.test.x)))
            rows[name] = self._row(np.asarray(h)) | {"parameters": float(parameter_count(params))}
        own, *others = rows
        beside = {"clip": self._row(self.test.x), **{name: rows[name] for name in others}}
        return Evaluation(rows[own], beside)

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
            for way, given in both.items()
            for name, value in recalls(*given, self.mesh, at_once).items()
        }

    def save(self, trainable: PyTree, workdir: AnyPath) -> None:
        """Write h of each variant, `heads/NAME.safetensors`."""
        write_heads(workdir, trainable)
