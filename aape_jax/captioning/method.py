"""Captioning as the training loop sees it; `captioner` says what is learned."""

import dataclasses
from collections.abc import Mapping
from functools import partial
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

from aape_jax.captioning.captioner import Captioner, speakers
from aape_jax.captioning.features import caption_tokens, describe, grid_shape, see
from aape_jax.captioning.few_shot_vqa import FewShotVQA, Part, check_vqa
from aape_jax.captioning.prefix import read_map
from aape_jax.captioning.report import CaptionReport, show_rows
from aape_jax.captioning.stages import StagedBatches, check_stages, staged_optimizer
from aape_jax.core.heads_file import read_head, require_fit, write_heads
from aape_jax.core.presets import OWN
from aape_jax.core.summary import TEST_DATA, array_digest, encoders, evaluation, pairs_summary
from aape_jax.datasets.caption_set import open_caption_set
from aape_jax.datasets.question_set import QuestionSet
from aape_jax.task import Epochs
from common.checks import Range, check_ranges
from common.clip import CLIP, load_clip
from common.clip.known import describe_clip
from common.config import choose_config
from common.errors import UserError
from common.language import LM, describe_lm, load_lm
from common.language.prompts import CAPTION
from common.language.sharding import lm_rules
from common.paths import AnyPath, as_path
from common.photos.broken import named_together
from common.precision import frozen_dtype
from common.training import Evaluation, Method, RunInputs
from common.training.method import Tell, unheard
from common.training.start import RANGES
from configs.aape_captioning import get_config


class Captioning(Method):
    """Trains one visual map, then a run's own AAPE and the variants beside it."""

    name = OWN
    writes = ("captions.png", "captions.json", "heads")
    terms = MappingProxyType({"task": "nats for each token of a caption"})
    frozen_rules = lm_rules("lm")
    evaluation_fields = ("images_at_once", "lm.beams", "pictures", "scorer", "vqa.")

    def __init__(self, config: ConfigDict | None = None, **fields: Any):
        self.config = choose_config(get_config, config, fields)

    def load(self, config: ConfigDict, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Encode images and captions, or read them from the cache."""
        self._plan(config)
        dtype, self.cache = frozen_dtype(config.dtype), Path(config.cache).expanduser()
        texts = open_caption_set(config.data)
        self.clip, lm = load_clip(config.model, dtype), load_lm(config.lm.model, dtype)
        same = config.scorer == config.model
        scorer = self.clip if same else load_clip(config.scorer, dtype)
        asking = np.asarray(lm.tokenizer.encode(CAPTION), np.int32)
        (images, captions), (tests, _) = texts["train"].counts, texts["test"].counts
        self._fit(self.clip, lm, len(asking), images)
        models = {"model": f"{config.model}, {config.lm.model}"}
        tell(pairs_summary(images, captions, tests, "captions") | models)
        parts = describe(texts, self.clip, self.cache)
        train, test = parts["train"], parts["test"]
        self.report = CaptionReport(self.lm, scorer, parts, config, self.cache)
        tokens = caption_tokens(lm, train.texts.captions, config.lm.length)
        tokenised = {"ids": tokens.ids, "lengths": tokens.lengths, "asking": asking}
        features = {"x": train.views.x, "captions": train.captions, "mask": train.mask}
        frozen = {"lm": lm.params, **features, **tokenised}
        prints = {
            **encoders(self.clip),
            "lm": lm.fingerprint,
            "caption tokens": array_digest(tokenised),
            **evaluation({"scorer": scorer.fingerprint, TEST_DATA: test.texts.fingerprint}),
        }
        if self.start:
            prints["visual map"] = array_digest(self.start)
        fingerprint = train.texts.fingerprint
        return RunInputs(*self._prepare(frozen, train.views.grid, fingerprint, mesh), prints)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        config = self.config
        self._plan(config)
        if not config.examples:
            raise UserError(
                f"examples=0: compiling without the images of {config.data!r} needs their "
                "number, e.g. examples=113287."
            )
        dtype = frozen_dtype(config.dtype, "tpu")
        clip, lm = describe_clip(config.model, dtype), describe_lm(config.lm.model, dtype)
        images, texts = config.examples, (config.examples, config.captions)
        width = clip.config.text.projection
        shapes = {
            "x": ((images, width), jnp.float32),
            "captions": ((*texts, width), jnp.float32),
            "mask": (texts, jnp.bool_),
            "ids": ((*texts, config.lm.length), jnp.int32),
            "lengths": (texts, jnp.int32),
            "asking": ((config.lm.asking,), jnp.int32),
        }
        frozen = {name: jax.ShapeDtypeStruct(*shape) for name, shape in shapes.items()}
        frozen["lm"] = lm.params
        # Of any size it takes the memory of one number.
        grid = np.broadcast_to(np.float16(0), (images, *grid_shape(clip)))
        self._fit(clip, lm, config.lm.asking, images)
        return RunInputs(*self._prepare(frozen, grid, "abstract", mesh))

    def _plan(self, config: ConfigDict) -> None:
        if not (config.model and config.lm.model):
            raise UserError("captioning needs a CLIP (model=) and a language model (lm.model=).")
        if config.grid not in ("device", "host"):
            raise UserError(f"grid={config.grid!r} is neither device nor host.")
        least = {"images_at_once": 1, "lm.beams": 1, "lm.length": 1, "pictures": 0}
        check_ranges(config, RANGES | {name: Range(low) for name, low in least.items()})
        check_vqa(config)
        self.speakers = speakers(config)
        check_stages(config, bool(self.speakers))
        staged_optimizer(config)

    def _fit(self, clip: CLIP, lm: LM, asking: int, images: int) -> None:
        """Keep the models and their sizes; what does not fit them is refused.

        Args:
          clip: Whose features are shown.
          lm: What reads them.
          asking: Tokens of the words that ask for a caption.
          images: To learn from.

        Raises:
          UserError: a caption does not fit the language model, or `lm.map` belongs to others.
        """
        config, (cells, self.channels) = self.config, grid_shape(clip)
        self.width, self.examples = clip.config.text.projection, images
        self.lm = dataclasses.replace(lm, params={})  # They are in the frozen tree.
        self.captioner = Captioner(lm.model.clone(remat=config.lm.remat), self.speakers)
        tokens = config.lm.aape_tokens if self.speakers else 0
        longest = cells + tokens + asking + config.lm.length
        if longest > lm.config.positions:
            raise UserError(
                f"{cells} cells of an image and its caption are {longest} tokens, but "
                f"lm.model={config.lm.model} has {lm.config.positions} positions."
            )
        self.start = self._read_map(as_path(config.lm.map)) if config.lm.map else None

    def _prepare(
        self, frozen: PyTree, grid: np.ndarray, fingerprint: str, mesh: Mesh
    ) -> tuple[PyTree, StagedBatches]:
        """Return the frozen tree and the source, one of which holds the grid."""
        config = self.config
        batch = min(config.batch, self.examples)
        self.batch_rules = (("rows|grid", P("data")),) if batch % mesh.shape["data"] == 0 else ()
        epochs = Epochs(fingerprint, self.examples, 1, batch, config.seed)
        if config.grid == "host":
            return frozen, StagedBatches(epochs, config.map_updates, grid)
        abstract = isinstance(frozen["x"], jax.ShapeDtypeStruct)
        held = jax.ShapeDtypeStruct(grid.shape, grid.dtype) if abstract else grid
        return frozen | {"grid": held}, StagedBatches(epochs, config.map_updates)

    def _read_map(self, path: AnyPath) -> PyTree:
        return read_map(path, self.channels, self.lm.config.width)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """See `Captioner.init`; the visual map may come from another run."""
        found = self.captioner.init(key, self.channels, self.width, self.examples)
        return found | {"visual": {"map": self.start}} if self.start else found

    def optimizer(self) -> optax.GradientTransformation:
        """See `staged_optimizer`."""
        return staged_optimizer(self.config)

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """See `Captioner.loss`."""
        return self.captioner.loss(trainable, frozen, batch, key)

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Write captions of the test images by every variant, and score them."""
        # What is not about training images.
        model = {name: frozen[name] for name in ("lm", "asking")}
        nats = partial(jax.jit(self.captioner.nats), model)
        return self.report(show_rows(self.captioner, trainable), nats, frozen["lm"])

    def questions(self, parts: Mapping[str, QuestionSet]) -> FewShotVQA:
        """Return questions of another data set, for the models of `load`.

        Raises:
          UserError: photos are broken, or the parts are not of one data set.
        """
        with named_together(*(own.pictures for own in parts.values())):
            train, test = (
                Part(own, see(self.clip, own.pictures, self.cache)) for own in parts.values()
            )
        return FewShotVQA(self.lm, train, test, self.config)

    def read(self, workdir: AnyPath) -> PyTree:
        """Return the parameters that `save` wrote, for the models of `load`.

        Raises:
          UserError: a file is missing, or was made for other models or by another config.
        """
        fresh = jax.eval_shape(self.init, jax.random.key(0))
        found = {"visual": {"map": self._read_map(workdir / "heads" / "visual.safetensors")}}
        for name in self.speakers:
            head = read_head(workdir / "heads" / f"{name}.safetensors")
            require_fit(name, head, fresh[name]["head"])
            found[name] = {"head": head}
        return found

    def save(self, trainable: PyTree, workdir: AnyPath) -> None:
        """Write the map, h and AAPE's map of each variant, the captions and their pictures."""
        write_heads(workdir, trainable)
        self.report.write(workdir)
