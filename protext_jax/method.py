"""ProText as the training loop sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from common.checks import check_choices
from common.clip import CLIP, load_clip
from common.clip.checkpoint import find_and_open
from common.clip.known import describe_clip
from common.config import changed
from common.data.clip_texts import text_features
from common.errors import UserError
from common.evaluation.classification import normalise
from common.nesting import nest
from common.paths import AnyPath
from common.precision import frozen_dtype
from common.protocols.epochs import Sampler, steps_per_epoch
from common.protocols.models import cache_of
from common.seeds import random_key
from common.training import Evaluation, Method, RunInputs, say
from common.training.types import Card, Tell, unheard
from configs.protext import get_config
from protext_jax.adapters import initial_adapter
from protext_jax.baseline_texts import read_material
from protext_jax.coop import check_shots
from protext_jax.evaluation import evaluate
from protext_jax.files import all_runs, read_runs, write_runs
from protext_jax.inputs import EvaluationInputs
from protext_jax.losses import LOSSES
from protext_jax.measuring import measure_prompts
from protext_jax.objective import Objective
from protext_jax.options import check_options, with_data
from protext_jax.plan import CHOICES, data_fingerprint, frozen_tree, make_plan
from protext_jax.prompts import CONTEXT, initial_prompts, training_template
from protext_jax.publishing import publish_prompts
from protext_jax.runs import Batches, Rates, make_runs, rates_of, scale_by_rates
from protext_jax.signals import alone, encode_sentences, rank
from protext_jax.summary import fingerprints, notes, summary
from protext_jax.sweep import sweep_table
from protext_jax.testsets import check_test_set, make_test_sets
from protext_jax.training_texts import TrainingTexts, gather_texts, training_name


class ProText(Method):
    """Learns deep text prompts from sentences, and evaluates them."""

    name = "protext"
    batch_rules = (("layout/.*", P(None, "data")),)
    terms = MappingProxyType(
        {
            "loss": "mean over pairs of class and sentence",
            "cosine": "mean cosine of a class's feature and its sentences' (1 is the best)",
        }
    )
    writes = ("similarity.png", "confusion.png", "prompts.safetensors", "sweep")
    evaluation_fields = (
        *("baselines", "blend", "coop_shots", "descriptors", "holdout"),
        *("targets", "test_template", "words"),
    )

    get_config = staticmethod(get_config)

    @property
    def decisive(self) -> tuple[str, ...]:
        """Where training stops early, how often it is asked whether it does."""
        return ("eval_every",) if self.config.early_stop else ()

    @classmethod
    def complete(cls, config: ConfigDict) -> ConfigDict:
        """Fill in the data and the number of updates, which the epochs imply."""
        config = with_data(config)
        check_choices(config, CHOICES)
        check_options(config)
        runs = make_runs(config)
        if config.updates:
            return config
        texts = gather_texts(config, find_and_open(config.model).tokenizer)
        pairs = len(texts.names) if config.targets_of == "class_mean" else texts.pairs
        epochs = max(run.epochs for run in runs)
        return changed(config, {"updates": epochs * steps_per_epoch(pairs, config.batch)})

    def load(self, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Load CLIP and the sentences, encode them once and lay the classes out.

        Everything that is measured afterwards is opened, checked and encoded here.
        """
        config = self.config
        clip = load_clip(config.model, config.dtype, image_size=config.image_size)
        texts = gather_texts(config, clip.tokenizer)
        self._plan(clip, texts, mesh)
        self.context = clip.params["text"]["token_embedding"][clip.tokenizer.encode(CONTEXT)]
        sets = make_test_sets(config, texts)
        for test in sets:
            check_test_set(config, clip, test)
        material = read_material(config, texts.matched.sentences)
        remarks = notes(config, texts, sets, material, self.plan.runs)
        check_shots(config, texts.dataset)
        tell(summary(config, texts, sets))
        self.remarks = [*texts.matched.report(), *remarks]
        for line in (*texts.matched.remarks(), *remarks):
            say(line)
        sentences = encode_sentences(clip, texts, cache_of(config))
        self.measured = EvaluationInputs(config, clip, texts, sentences, sets, material)
        self.measured.encode()
        frozen = frozen_tree(config, clip, self.plan, self._encoded(self.measured))
        prints = fingerprints(config, clip, texts, sets, material)
        return RunInputs(frozen, self._batches(), prints)

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return the shapes and dtypes of `load`; `evaluate` and `save` need `load`."""
        config = self.config
        clip = describe_clip(config.model, frozen_dtype(config.dtype), image_size=config.image_size)
        texts = gather_texts(config, clip.tokenizer)
        self._plan(clip, texts, mesh)
        self.context = np.zeros((len(clip.tokenizer.encode(CONTEXT)), clip.config.text.width))
        width = clip.config.text.projection
        encoded = {
            "targets": jax.ShapeDtypeStruct((len(self.plan.label), width), jnp.float32),
            "templates": jax.ShapeDtypeStruct((len(texts.names), width), jnp.float32),
        }

        def assemble(params: PyTree, encoded: PyTree) -> PyTree:
            return frozen_tree(config, replace(clip, params=params), self.plan, encoded)

        return RunInputs(jax.eval_shape(assemble, clip.params, encoded), self._batches())

    def _plan(self, clip: CLIP, texts: TrainingTexts, mesh: Mesh) -> None:
        config = self.config
        if config.depth > clip.config.text.layers:
            raise UserError(
                f"depth={config.depth} is more than the {clip.config.text.layers} blocks of "
                f"{config.model!r}: lower it."
            )
        self.clip = clip
        self.plan = make_plan(config, clip.config.text, texts, mesh.shape["data"])
        rates_of(config, self.plan.runs, self.plan.per_epoch)  # Refuses before it encodes.
        weight = config.loss_weight or LOSSES[config.loss].weight
        self.objective = Objective(
            clip.text_tower, config.loss, weight, self.plan.pairs, config.faithful.half
        )

    def _encoded(self, measured: EvaluationInputs) -> dict[str, np.ndarray]:
        config, sentences = self.config, measured.sentences
        means = config.targets_of == "class_mean"
        encoded = {"targets": sentences.means if means else sentences.targets}
        if config.mapping != "prompts":
            names = [training_name(config, name) for name in measured.texts.names]
            spelled = [training_template(config).replace("{}", name) for name in names]
            features = text_features(measured.clip, spelled, measured.cache)
            encoded["templates"] = normalise(features)
        return encoded

    def _batches(self) -> Batches:
        plan, config = self.plan, self.config
        samplers = tuple(Sampler(len(plan.label), config.batch, run.seed) for run in plan.runs)
        return Batches(samplers, plan.packer, data_fingerprint(config, plan.texts))

    def init(self, key: Array) -> PyTree:
        """Draw every run from its own seed; the loop's key is that of the config's."""
        del key
        config, text = self.config, self.clip.config.text
        keys = [random_key(run.seed) for run in self.plan.runs]
        if config.mapping != "prompts":
            runs = [initial_adapter(key, config.mapping, text.projection) for key in keys]
            return {"adapter": jax.tree.map(lambda *x: jnp.stack(x), *runs)}
        runs = [initial_prompts(key, self.context, config.length, config.depth) for key in keys]
        return {"prompts": jnp.stack(runs)}

    def optimizer(self) -> optax.GradientTransformation:
        """Return AdamW on the prompts alone, with the rates of `rates_of`."""
        config = self.config
        return optax.chain(
            optax.scale_by_adam(config.beta1, config.beta2, eps=1e-8),
            optax.add_decayed_weights(config.weight_decay),
            scale_by_rates(self._rates),
        )

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Return the rate of every run; those of a sweep by its name."""
        runs = self.plan.runs
        names = [f"{run.name}/learning_rate" for run in runs] if runs[1:] else ["learning_rate"]
        return dict(zip(names, map(float, self._rates(step)), strict=True))

    @property
    def _rates(self) -> Rates:
        return rates_of(self.config, self.plan.runs, self.plan.per_epoch)

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        """See `Objective`."""
        del key
        return self.objective(trainable, frozen, batch)

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure the accuracy by protocol, the baselines and the text-only signals."""
        del frozen
        evaluation = evaluate(self.measured, self.plan.runs, jax.device_get(trainable))
        return replace(evaluation, details={"remarks": self.remarks, **evaluation.details})

    def stops(self, evaluations: Sequence[Mapping[str, float]]) -> bool:
        """Return whether the last `early_stop` evaluations gained nothing on held-out text.

        The prompts alone count, so that `blend` changes nothing of what is learned.
        """
        patience, ranks = self.config.early_stop, [rank(alone(x)) for x in evaluations]
        if not 0 < patience < len(ranks):
            return False
        retrieval, cosine = max(ranks[-patience:])
        return (retrieval, cosine - self.config.early_stop_gain) <= max(ranks[:-patience])

    def save(self, trainable: PyTree, evaluation: Evaluation, workdir: AnyPath) -> None:
        """Write `prompts.safetensors`, of a sweep also one file per run."""
        learned = all_runs(self.config, self.clip.fingerprint, trainable)
        if blends := evaluation.details.get("blends"):
            learned = [x.with_blend(blend) for x, blend in zip(learned, blends, strict=True)]
        write_runs(workdir, learned, evaluation.details.get("chosen", 0))

    def read(self, workdir: AnyPath) -> PyTree:
        """Return the prompts of every run, runs in front."""
        runs = [nest(learned.arrays) for learned in read_runs(self.config, workdir)]
        return jax.tree.map(lambda *arrays: np.stack(arrays), *runs)

    @classmethod
    def publish(cls, config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
        """See `publish_prompts`."""
        return publish_prompts(config, workdir, out)

    @classmethod
    def measure(
        cls, config: ConfigDict, workdir: AnyPath, data: str | None, number: int | None = None
    ) -> Evaluation:
        """See `measure_prompts`."""
        return measure_prompts(config, workdir, data, number)

    @classmethod
    def tables(cls, config: ConfigDict, result: Mapping[str, Any]) -> Sequence[str]:
        """Return the runs of a sweep side by side."""
        if "sweep" not in result.get("details", {}):
            return ()
        return (f"\n{sweep_table(make_runs(config), result)}",)
