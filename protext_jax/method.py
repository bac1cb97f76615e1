"""ProText as the training loop sees it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP, Tokenizer, load_clip
from common.clip.checkpoint import find_clip
from common.clip.known import describe_clip
from common.errors import UserError
from common.evaluation.classification import normalise
from common.evaluation.figures import write_png
from common.training import Evaluation, Loaded, Method, say
from protext_jax.adapters import MAPPINGS, initial_adapter
from protext_jax.classnames import warning
from protext_jax.encoding import encode_texts
from protext_jax.evaluation import Measured, evaluate
from protext_jax.fast import start_states
from protext_jax.files import LearnedPrompts, write_prompts
from protext_jax.losses import LOSSES
from protext_jax.objective import Objective
from protext_jax.packing import Packer, Sizes, suffixes
from protext_jax.prompts import CONTEXT, initial_prompts
from protext_jax.runs import Batches, Run, make_runs, scale_by_epoch
from protext_jax.schedule import Sampler, steps_per_epoch
from protext_jax.testsets import check_test_set, make_test_sets
from protext_jax.texts import Texts, gather_texts, training_template, with_data

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
TARGETS = ("sentences", "class_mean")


@dataclass(frozen=True)
class Plan:
    """What follows from the config, the texts and the devices before anything is encoded."""

    texts: Texts
    runs: tuple[Run, ...]
    label: np.ndarray
    pairs: int
    per_epoch: int
    packer: Packer | None


def make_plan(config: ConfigDict, texts: Texts, shards: int) -> Plan:
    """Who sees which pairs when, and in what shapes."""
    runs = make_runs(config)
    label = texts.label
    if config.targets_of == "class_mean":
        label = np.unique(label)
    packer = None
    if is_fast(config):
        _, _, lengths, starts = suffixes(texts.templates.ids, texts.templates.end, config.length)
        samplers = [(Sampler(len(label), config.batch, run.seed), run.epochs) for run in runs]
        packer = Packer(Sizes.of(samplers, label, lengths, shards), label, lengths, starts)
    per_epoch = steps_per_epoch(len(label), config.batch)
    return Plan(texts, runs, label, min(config.batch, len(label)), per_epoch, packer)


def is_fast(config: ConfigDict) -> bool:
    """Whether the shared work applies: an adapter has no prompts to share."""
    return config.fast and config.mapping == "prompts"


def class_means(targets: Float[np.ndarray, "b p"], label: np.ndarray) -> Float[np.ndarray, "k p"]:
    """One unit target per class: the mean of its unit targets, as CuPL makes it."""
    return normalise(np.stack([targets[label == k].mean(0) for k in np.unique(label)]))


def frozen_tree(config: ConfigDict, clip: CLIP, plan: Plan, encoded: Mapping[str, Any]) -> PyTree:
    """Everything that the objective reads and never changes."""
    params, texts = clip.params["text"], plan.texts
    frozen = {"targets": encoded["targets"]}
    if plan.packer is None:
        frozen |= {"label": plan.label, "text": params}
        frozen |= {"ids": texts.templates.ids, "end": texts.templates.end}
        if config.mapping != "prompts":
            frozen |= {"templates": encoded["templates"]}
        return frozen
    ids, position, _, _ = suffixes(texts.templates.ids, texts.templates.end, config.length)
    embedded = params["token_embedding"][ids] + params["position_embedding"][position]
    return frozen | {
        "text": {name: x for name, x in params.items() if name != "token_embedding"},
        "suffix": embedded,
        "start": start_states(clip.text_tower, params),
    }


class ProText(Method):
    """Learns deep text prompts from sentences, and evaluates them."""

    name = "protext"
    batch_rules = (("layout/.*", P(None, "data")),)

    def __init__(self, config: ConfigDict):
        self.config = config

    def complete(self, config: ConfigDict) -> ConfigDict:
        """Fills in the data and the number of updates, which the epochs imply."""
        config = with_data(config)
        check_choices(config)
        if not config.updates:
            tokenizer = Tokenizer.from_directory(find_clip(config.model)[0])
            texts = gather_texts(config, tokenizer)
            pairs = len(texts.names) if config.targets_of == "class_mean" else texts.pairs
            epochs = max(run.epochs for run in make_runs(config))
            config.updates = epochs * steps_per_epoch(pairs, config.batch)
        self.config = config
        return config

    def load(self, config: ConfigDict, mesh: Mesh) -> Loaded:
        """Loads CLIP and the sentences, encodes them once and lays the classes out."""
        clip = load_clip(config.model, DTYPES[config.dtype])
        texts = gather_texts(config, clip.tokenizer)
        notes = [warning(spec) for spec in (config.data, *config.targets)]
        for line in filter(None, [*texts.matched.report(), *notes]):
            say(line)
        self._plan(clip, texts, mesh)
        self.context = clip.params["text"]["token_embedding"][clip.tokenizer.encode(CONTEXT)]
        sets = make_test_sets(config, texts)
        for test in sets:
            check_test_set(config, clip, test)
        encoded = self._encode(clip, texts)
        sentences, held_out = encoded["sentences"], encoded["held_out"]
        self.measured = Measured(config, clip, texts, sentences, held_out, sets)
        frozen = frozen_tree(config, clip, self.plan, encoded)
        return Loaded(frozen, self._batches(), {"model": clip.fingerprint})

    def abstract(self, mesh: Mesh) -> Loaded:
        """What `load` would give, as shapes and dtypes; `evaluate` and `save` need `load`."""
        config = self.config
        clip = describe_clip(config.model, DTYPES[config.dtype])
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

        return Loaded(jax.eval_shape(assemble, clip.params, encoded), self._batches())

    def _plan(self, clip: CLIP, texts: Texts, mesh: Mesh) -> None:
        config = self.config
        if config.depth > clip.config.text.layers:
            raise UserError(
                f"depth={config.depth} is more than the {clip.config.text.layers} blocks of "
                f"{config.model!r}: lower it."
            )
        self.clip, self.plan = clip, make_plan(config, texts, mesh.shape["data"])
        weight = config.loss_weight or LOSSES[config.loss].weight
        self.objective = Objective(
            clip.text_tower, config.loss, weight, self.plan.pairs, config.faithful.half
        )

    def _encode(self, clip: CLIP, texts: Texts) -> dict[str, np.ndarray]:
        cache = Path(self.config.cache).expanduser()
        features = normalise(encode_texts(clip, (*texts.sentences, *texts.held_out), cache))
        targets, held_out = np.split(features, [texts.pairs])
        encoded = {"targets": targets, "sentences": targets, "held_out": held_out}
        if self.config.targets_of == "class_mean":
            encoded["targets"] = class_means(targets, texts.label)
        if self.config.mapping != "prompts":
            template = training_template(self.config)
            spelled = [template.replace("{}", name) for name in texts.names]
            encoded["templates"] = normalise(encode_texts(clip, spelled, cache))
        return encoded

    def _batches(self) -> Batches:
        plan, config = self.plan, self.config
        samplers = tuple(Sampler(len(plan.label), config.batch, run.seed) for run in plan.runs)
        digest = hashlib.sha256("\n".join(plan.texts.sentences).encode())
        digest.update(plan.texts.templates.ids.tobytes())
        digest.update(plan.label.tobytes())
        return Batches(samplers, plan.packer, digest.hexdigest()[:16])

    def init(self, key: Array) -> PyTree:
        """Every run draws from its own seed; the loop's key is that of the config's."""
        del key
        config, text = self.config, self.clip.config.text
        keys = [jax.random.key(run.seed) for run in self.plan.runs]
        if config.mapping != "prompts":
            runs = [initial_adapter(key, config.mapping, text.projection) for key in keys]
            return {"adapter": jax.tree.map(lambda *x: jnp.stack(x), *runs)}
        runs = [initial_prompts(key, self.context, config.length, config.depth) for key in keys]
        return {"prompts": jnp.stack(runs)}

    def optimizer(self) -> optax.GradientTransformation:
        """AdamW on the prompts alone, with the reference's rate per epoch."""
        config = self.config
        return optax.chain(
            optax.scale_by_adam(config.beta1, config.beta2, eps=1e-8),
            optax.add_decayed_weights(config.weight_decay),
            scale_by_epoch(self.plan.runs, self.plan.per_epoch),
        )

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: Array
    ) -> tuple[Array, dict[str, Array]]:
        """See `Objective`."""
        del key
        return self.objective(trainable, frozen, batch)

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Accuracy by protocol, beside the baselines; the text-only signals."""
        evaluation = evaluate(self.measured, self.plan.runs, jax.device_get(trainable))
        self.pictures = evaluation.pictures
        return evaluation

    def save(self, trainable: PyTree, workdir: Path) -> None:
        """Writes `prompts.safetensors`, of a sweep one per run, and the pictures."""
        for name, picture in self.pictures.items():
            write_png(workdir / f"{name}.png", picture)
        several = len(self.plan.runs) > 1
        for number, run in enumerate(self.plan.runs):
            own = jax.tree.map(lambda x, i=number: np.asarray(x[i]), trainable)
            learned = LearnedPrompts.of(self.config, self.clip, own, run)
            path = workdir / (f"sweep/{number}.safetensors" if several else "prompts.safetensors")
            write_prompts(path, learned)


def check_choices(config: ConfigDict) -> None:
    """Refuses words that are no option.

    Raises:
      UserError: it names the options.
    """
    tables = {
        "loss": LOSSES,
        "mapping": MAPPINGS,
        "targets_of": TARGETS,
        "dtype": DTYPES,
    }
    for name, known in tables.items():
        if config[name] not in known:
            raise UserError(
                f"{name}={config[name]!r} is unknown; choose one of {', '.join(known)}."
            )
