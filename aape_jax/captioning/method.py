"""Captioning as the training loop sees it; `captioner` says what is learned."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Key, PyTree
from ml_collections import ConfigDict

from aape_jax.captioning.captioner import Captioner
from aape_jax.captioning.features import ImageFeatures, caption_tokens, encode_images
from aape_jax.captioning.few_shot_vqa import FewShotVQA, check_vqa
from aape_jax.captioning.outline import describe
from aape_jax.captioning.prefix import Prefix, require_map
from aape_jax.captioning.report import CaptionReport, require_scorer
from aape_jax.captioning.rows import KnownCaptions, show_rows
from aape_jax.captioning.saved import require_captioner
from aape_jax.captioning.stages import (
    UNREAD,
    StagedBatches,
    check_stages,
    stage_rates,
    staged_optimizer,
)
from aape_jax.captioning.variants import VARIANTS, caption_variants
from aape_jax.core.heads_file import head_file, read_head
from aape_jax.core.presets import say_repeated
from aape_jax.core.start import require_same_models
from aape_jax.core.summary import (
    TEST_DATA,
    array_digest,
    encoders,
    evaluation_fingerprints,
    pairs_summary,
)
from aape_jax.core.texts import by_class, encode_captions, flattened
from aape_jax.datasets.caption_set import open_caption_set
from aape_jax.datasets.questions import is_question_set, read_questions
from aape_jax.task import Task, evaluated
from common.checks import Range, check_choices, check_ranges
from common.clip import CLIP, load_clip
from common.errors import UserError
from common.language import LM, load_lm
from common.language.prompts import CAPTION
from common.language.sharding import lm_rules
from common.paths import AnyPath, as_path
from common.pictures import write_png
from common.precision import frozen_dtype
from common.protocols.models import cache_of, clip_of
from common.training import Evaluation, RunInputs
from common.training.mesh import make_mesh
from common.training.sharding import placed
from common.training.summary import unread_counts
from common.training.types import Tell, unheard
from common.training.unfinished import say_changed_models
from configs.aape_captioning import get_config


class Captioning(Task):
    """Trains one visual map, then a run's own AAPE and the variants beside it."""

    writes = ("captions.png", "captions.json", "heads")
    terms = MappingProxyType({"task": "nats for each token of a caption"})
    frozen_rules = lm_rules("lm")
    shared = "rows|grid"
    unread = UNREAD
    evaluation_fields = ("images_at_once", "lm.beams", "pictures", "scorer", "vqa.")

    get_config = staticmethod(get_config)

    start: PyTree | None = None
    """The visual map of another run that training starts from."""

    def load(self, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Open everything and the visual map to start from, then encode it."""
        self.check_unread()
        rows = self.open(mesh)
        self._read_map()
        if self.start:
            require_same_models("lm.map", self.config.lm.map, self.models)
        tell(rows)
        return self.encode()

    def open(self, mesh: Mesh) -> Mapping[str, str]:
        """Open images, captions and all models."""
        config = self.config
        self._plan()
        self.sets = open_caption_set(config.data)
        (images, captions), (tests, _) = self.sets["train"].counts, self.sets["test"].counts
        self._open_models(images, mesh)
        # The scorer is the published model, whose scores are comparable.
        same = config.scorer == config.model and not config.image_size
        self.scorer = self.clip if same else load_clip(config.scorer, frozen_dtype(config.dtype))
        require_scorer(self.scorer, config.scorer)
        models = {"model": f"{config.model}, {config.lm.model}"}
        unread = unread_counts(config, {"examples": images})
        return pairs_summary(images, captions, tests, "captions") | models | unread

    def _open_models(self, images: int, mesh: Mesh) -> None:
        """Load CLIP and the language model, for so many images to learn from."""
        dtype = frozen_dtype(self.config.dtype)
        self.clip = clip_of(self.config, dtype)
        lm = load_lm(self.config.lm.model, dtype)
        self.asking = np.asarray(lm.tokenizer.encode(CAPTION), np.int32)
        self._fit(self.clip, lm, len(self.asking), images, mesh)
        self.lm_params = lm.params

    def encode(self) -> RunInputs:
        """Encode images and captions, or read them from the cache."""
        say_repeated(self.config, VARIANTS)
        train = self.sets["train"]
        pictures = {name: part.pictures for name, part in self.sets.items()}
        images = encode_images(pictures, self.clip, self.cache)
        features, owner = encode_captions(train.captions, self.clip, self.cache)
        self._report(images["test"], features)
        captions, mask = by_class(features, owner, len(train.captions))
        tokens = caption_tokens(self.lm, train.captions, self.config.lm.length, "training caption")
        tokenised = {"ids": tokens.ids, "lengths": tokens.lengths, "asking": self.asking}
        of_images = {"x": images["train"].x, "captions": captions, "mask": mask}
        frozen = {"lm": self.lm_params, **of_images, **tokenised}
        measured = {"scorer": self.scorer.fingerprint, **self._measured}
        prints = {
            **encoders(self.clip),
            "lm": self.lm.fingerprint,
            "caption tokens": array_digest(tokenised),
            **evaluation_fingerprints(measured),
        }
        if self.start:
            prints["visual map"] = array_digest(self.start)
        del self.sets, self.scorer, self.lm_params
        return RunInputs(*self._prepare(frozen, images["train"].grid, train.fingerprint), prints)

    def encode_test(self) -> tuple[PyTree, Mapping[str, str]]:
        """Encode the test images and, for the row of the nearest, the training captions."""
        images = encode_images({"test": self.sets["test"].pictures}, self.clip, self.cache)
        features, _ = encode_captions(self.sets["train"].captions, self.clip, self.cache)
        self._report(images["test"], features)
        prints = evaluation_fingerprints(self._measured)
        return {"lm": self.lm_params, "asking": self.asking}, prints

    @property
    def _measured(self) -> dict[str, Any]:
        """What of the data evaluation reads; the row of the nearest is of training captions."""
        train, test = self.sets["train"], self.sets["test"]
        return {TEST_DATA: test.fingerprint, "training captions": train.captions}

    def _report(self, images: ImageFeatures, captions: Float[np.ndarray, "m p"]) -> None:
        """Make the report from features of the test images and of the training captions."""
        known = KnownCaptions(flattened(self.sets["train"].captions)[0], captions)
        test = self.sets["test"]
        self.report = CaptionReport(
            self.lm, self.scorer, test, images, known, self.config, self.cache
        )

    @property
    def models(self) -> dict[str, str]:
        """Fingerprints of CLIP and the language model."""
        return super().models | {"lm": self.lm.fingerprint}

    @property
    def cache(self) -> Path:
        """The folder of features."""
        return cache_of(self.config)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        config = self.config
        self._plan()
        outline = describe(config)
        self._fit(outline.clip, outline.lm, config.lm.asking, config.examples, mesh)
        self._read_map()
        return RunInputs(*self._prepare(outline.frozen, outline.grid, "abstract"))

    def _plan(self) -> None:
        config = self.config
        if not (config.model and config.lm.model):
            raise UserError("captioning needs a CLIP (model=) and a language model (lm.model=).")
        check_choices(config, {"grid": ("device", "host")})
        least = {"images_at_once": 1, "lm.beams": 1, "lm.length": 1, "pictures": 0}
        check_ranges(config, {name: Range(low) for name, low in least.items()})
        check_vqa(config)
        self.variants = caption_variants(config)
        check_stages(config, bool(self.variants))
        staged_optimizer(config)

    def _fit(self, clip: CLIP, lm: LM, asking: int, images: int, mesh: Mesh) -> None:
        """Keep the models and their sizes; what does not fit them is refused.

        Args:
          clip: Whose features are shown.
          lm: What reads them.
          asking: Tokens of the words that ask for a caption.
          images: To learn from.
          mesh: The devices.

        Raises:
          UserError: A caption does not fit the language model.
        """
        config, (cells, self.channels) = self.config, clip.config.vision.grid
        self.width = clip.config.text.projection
        self.divide(images, config.batch, mesh)
        self.lm = dataclasses.replace(lm, params={})  # They are in the frozen tree.
        self.captioner = Captioner(lm.model.clone(remat=config.lm.remat), self.variants)
        longest = Prefix.from_config(config.lm).length(cells) + asking + config.lm.length
        if longest > lm.config.positions:
            raise UserError(
                f"{cells} cells of an image and its caption are {longest} tokens, but "
                f"lm.model={config.lm.model} has {lm.config.positions} positions."
            )

    def _read_map(self) -> None:
        """Read the visual map that training starts from, where there is one.

        Raises:
          UserError: It is missing, or belongs to other models.
        """
        if self.config.lm.map:
            path = as_path(self.config.lm.map)
            self.start = read_head(path)
            require_map(path, self.start, self.channels, self.lm.config.width)

    @property
    def names(self) -> Sequence[str]:
        """The variants that are trained side by side, the run's own first."""
        return tuple(self.variants)

    def _prepare(
        self, frozen: PyTree, grid: np.ndarray, fingerprint: str
    ) -> tuple[PyTree, StagedBatches]:
        """Return the frozen tree and the source, one of which holds the grid."""
        config, epochs = self.config, self.epochs(fingerprint)
        if config.grid == "host":
            return frozen, StagedBatches(epochs, config.map_updates, grid)
        abstract = isinstance(frozen["x"], jax.ShapeDtypeStruct)
        held = jax.ShapeDtypeStruct(grid.shape, grid.dtype) if abstract else grid
        return frozen | {"grid": held}, StagedBatches(epochs, config.map_updates)

    def init(self, key: Key[Array, ""]) -> PyTree:
        """See `Captioner.init`; the visual map may come from another run."""
        trainable = self.captioner.init(key, self.channels, self.width, self.examples)
        return trainable | {"visual": {"map": self.start}} if self.start else trainable

    def optimizer(self) -> optax.GradientTransformation:
        """See `staged_optimizer`."""
        return staged_optimizer(self.config)

    def learning_rates(self, step: int) -> dict[str, float]:
        """Return the rate of the stage that the update belongs to."""
        part = "map" if step < self.config.map_updates else "head"
        return {"learning_rate": float(stage_rates(self.config)[part](step))}

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Key[Array, ""]
    ) -> tuple[Array, dict[str, Array]]:
        """See `Captioner.loss`."""
        return self.captioner.loss(trainable, frozen, batch, key)

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Write captions of the test images by every variant, and score them."""
        # The rest of the tree belongs to the training images.
        model = {name: frozen[name] for name in ("lm", "asking")}
        nats = partial(self.captioner.run_nats, model)
        return self.report(show_rows(self.captioner, trainable), nats, frozen["lm"])

    def read(self, workdir: AnyPath) -> PyTree:
        """Return the visual map, and the heads of all variants."""
        return {"visual": {"map": read_head(head_file(workdir, "visual"))}, **super().read(workdir)}

    def reopen_models(self, workdir: AnyPath) -> tuple[PyTree, PyTree, Mesh]:
        """Return what a run saved, the language model on the devices, and these.

        What the run learned from is not opened.
        """
        mesh = make_mesh(self.config.mesh.data, self.config.mesh.model)
        self._plan()
        self._open_models(1, mesh)
        learned = self.read(workdir)
        self.require_fit(learned)
        say_changed_models(workdir, self.models)
        return learned, placed({"lm": self.lm_params}, self.frozen_rules, mesh)["lm"], mesh

    def require_fit(self, learned: PyTree) -> None:
        """Refuse a map or heads where the models that are open ask for other sizes.

        Raises:
          UserError: It names the part, the array and both shapes.
        """
        require_map("visual", learned["visual"]["map"], self.channels, self.lm.config.width)
        super().require_fit(learned)

    @classmethod
    def check_heads(cls, config: ConfigDict, heads: Mapping[str, PyTree]) -> None:
        """See `require_captioner`."""
        require_captioner(config, heads)

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """Measure captions, or answers with a data set of questions.

        With questions it writes the page `eval/answers.png`, too.
        """
        if not (data and is_question_set(data)):
            return super().measure(config, workdir, data)
        questions = read_questions(data)
        method = cls(config)
        learned, lm_params, mesh = method.reopen_models(workdir)
        with jax.set_mesh(mesh):
            cells, _ = method.clip.config.vision.grid
            asker = FewShotVQA(method.lm, **questions, config=method.config, cells=cells)
            images = encode_images(asker.shown, method.clip, method.cache)
            prefixes = show_rows(method.captioner, learned)
            shown = {name: row.show for name, row in prefixes.items()}
            answers = asker.answer(images, shown, lm_params)
        rows = {name: asker.scores(own) for name, own in answers.items()}
        if config.pictures:
            page = asker.page(answers[next(iter(rows))])
            write_png(workdir / "eval" / "answers.png", page)
        return evaluated(rows, {})
