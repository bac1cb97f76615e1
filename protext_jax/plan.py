"""What follows from the config, the texts and the devices before anything is encoded."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP, TextConfig
from common.protocols.epochs import Sampler, steps_per_epoch
from protext_jax.adapters import MAPPINGS
from protext_jax.baseline_texts import BASELINES
from protext_jax.fast import start_states
from protext_jax.losses import LOSSES
from protext_jax.packing import Packer, Sizes, suffixes
from protext_jax.runs import RunSetting, make_runs
from protext_jax.training_texts import TrainingTexts

CHOICES = {
    "loss": LOSSES,
    "mapping": MAPPINGS,
    "baselines": BASELINES,
    "targets_of": ("sentences", "class_mean"),
    "dtype": ("float32", "bfloat16"),
}
"""What stands to choose, by the field of the config."""


@dataclass(frozen=True)
class TrainingPlan:
    """Who learns what, when and in what shapes.

    Attributes:
      texts: Sentences and templates.
      runs: What is trained together.
      label: Class of each target, `[n]`.
      pairs: Targets of a batch.
      per_epoch: Steps.
      packer: Lays batches out; None for the plain form.
    """

    texts: TrainingTexts
    runs: tuple[RunSetting, ...]
    label: np.ndarray
    pairs: int
    per_epoch: int
    packer: Packer | None


def make_plan(
    config: ConfigDict, text: TextConfig, texts: TrainingTexts, shards: int
) -> TrainingPlan:
    """Plan which run sees which pairs when, and in what shapes.

    Args:
      config: The run's.
      text: The tower's.
      texts: What is learned from.
      shards: Of a batch.
    """
    runs = make_runs(config)
    label = class_of_targets(config, texts)
    packer = None
    if is_fast(config, text):
        _, _, lengths, starts = suffixes(texts.templates.ids, texts.templates.end, config.length)
        epochs: dict[int, int] = {}  # by seed: runs of one seed draw the same batches
        for run in runs:
            epochs[run.seed] = max(run.epochs, epochs.get(run.seed, 0))
        samplers = [(Sampler(len(label), config.batch, x), count) for x, count in epochs.items()]
        packer = Packer(Sizes.of(samplers, label, lengths, shards), label, lengths, starts)
    per_epoch = steps_per_epoch(len(label), config.batch)
    return TrainingPlan(texts, runs, label, min(config.batch, len(label)), per_epoch, packer)


def class_of_targets(config: ConfigDict, texts: TrainingTexts) -> Int[np.ndarray, "n"]:
    """Return the class of each target: of each sentence, or of each class's mean."""
    return np.unique(texts.label) if config.targets_of == "class_mean" else texts.label


def data_fingerprint(config: ConfigDict, texts: TrainingTexts) -> str:
    """Return 16 hex characters that change with any sentence, class or template to learn from."""
    digest = hashlib.sha256("\n".join(texts.sentences).encode())
    digest.update(texts.templates.ids.tobytes())
    digest.update(class_of_targets(config, texts).tobytes())
    return digest.hexdigest()[:16]


def is_fast(config: ConfigDict, text: TextConfig) -> bool:
    """Return whether the shared work applies.

    An adapter has no prompts to share, and what prompts become in a tower that is not causal
    depends on the class.
    """
    return config.fast and config.mapping == "prompts" and text.causal


def frozen_tree(
    config: ConfigDict, clip: CLIP, plan: TrainingPlan, encoded: Mapping[str, Any]
) -> PyTree:
    """Return everything that the objective reads and never changes."""
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
