"""Everything frozen that a classification run reads: features of photos, classes and prompts."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from aape_jax.bank import Bank, make_bank
from aape_jax.recipes import with_defaults
from aape_jax.testsets import TestSet, encode, fault, own_sets, target_set
from common.clip import CLIP, load_clip
from common.data import Dataset, FeatureDataset, FeatureSplit, ImageSplit, few_shot, open_dataset
from common.data.passed_over import listed
from common.errors import UserError
from common.photos.broken import named_together
from common.precision import frozen_dtype

SUBSAMPLES = ("all", "base", "new")


@dataclass(frozen=True, eq=False)
class Material:
    """What `gather` gives.

    Attributes:
      clip: None where only features are at hand.
      classnames: Of all classes.
      bank: Their text features.
      learned: The classes that are trained on, as rows of the bank.
      x: Unit-length features of V views of the training photos, `[v b p]`.
      labels: Numbered within `learned`, `[b]`.
      tests: By the prefix of the metrics: "" for all classes, or "base/" and "new/"; then the
        further data sets, each by its name.
      validation: For the baselines that choose a number, on the learned classes; or None.
      photos: The training photos; None where only features are at hand.
      found: How many training photos of the learned classes there are, used or not.
      idle: What is not measured and why, a line each.
      fingerprint: Of the photos.
      passed_over: What else lies beside the photos, and why it is not read.
    """

    clip: CLIP | None
    classnames: tuple[str, ...]
    bank: Bank
    learned: Int[np.ndarray, "k"]
    x: Float[np.ndarray, "v b p"]
    labels: Int[np.ndarray, "b"]
    tests: Mapping[str, TestSet]
    validation: TestSet | None
    photos: ImageSplit | None
    found: int
    idle: tuple[str, ...]
    fingerprint: str
    passed_over: str = ""


def gather(config: ConfigDict) -> Material:
    """Loads CLIP, opens the photos and encodes whatever is not in the cache.

    Raises:
      UserError: models, photos or prompts cannot be had, or their widths differ.
    """
    config = with_defaults(config)
    dataset = open_dataset(config.data, holdout=config.holdout)
    parts = class_parts(config.subsample, len(dataset.classnames))
    learned = next(iter(parts.values()))
    if len(learned) < 2:
        raise UserError(
            f"subsample={config.subsample} learns {len(learned)} of the {len(dataset.classnames)} "
            f"classes of {config.data!r}, and one class needs no classifier: give subsample=all, "
            "or a data set of two classes and more."
        )
    train = training_split(config, dataset, learned)
    clip = load_clip(config.model, frozen_dtype(config.dtype)) if config.model else None
    cache = Path(config.cache).expanduser()
    bank = make_bank(config, config.data, dataset.classnames, clip, cache)
    means = dict(zip(dataset.classnames, bank.means, strict=True))
    views = _views(config, dataset)
    with named_together(train, dataset.test, dataset.val):
        targets = [target_set(config, clip, spec, means) for spec in config.targets]
        x = np.stack([encode(clip, train, cache, view, config.seed) for view in views])
    if x.shape[-1] != bank.classes.shape[-1]:
        raise UserError(
            f"the image features of {config.data!r} have width {x.shape[-1]} and the text "
            f"features {bank.classes.shape[-1]}: take both from one model."
        )
    tests = own_sets(clip, dataset.test, dataset.classnames, bank, parts, cache)
    idle = {prefix: reason for prefix, test in tests.items() if (reason := fault(test))}
    validation = None
    if dataset.val is not None:
        (validation,) = own_sets(
            clip, dataset.val, dataset.classnames, bank, {"": learned}, cache
        ).values()
        validation = validation if len(validation.labels) else None
    return Material(
        clip=clip,
        classnames=dataset.classnames,
        bank=bank,
        learned=learned,
        x=x,
        labels=np.searchsorted(learned, train.labels),
        tests={name: test for name, test in tests.items() if name not in idle} | dict(targets),
        validation=validation,
        photos=train if isinstance(train, ImageSplit) else None,
        found=int(np.isin(dataset.train.labels, learned).sum()),
        idle=tuple(
            f"{config.data}{f' ({prefix[:-1]} classes)' if prefix else ''} {reason}: nothing is "
            "measured on it."
            for prefix, reason in idle.items()
        ),
        fingerprint=_fingerprint(train, dataset.test),
        passed_over=listed(dataset.passed_over),
    )


def class_parts(subsample: str, classes: int) -> dict[str, Int[np.ndarray, "k"]]:
    """The classes that compete with each other, by the prefix of their metrics.

    The first part is the one that is trained on.

    Raises:
      UserError: `subsample` is unknown.
    """
    middle = (classes + 1) // 2
    base, new = np.arange(middle), np.arange(middle, classes)
    parts = {
        "all": {"": np.arange(classes)},
        "base": {"base/": base, "new/": new},
        "new": {"new/": new},
    }
    if subsample not in parts:
        raise UserError(
            f"subsample={subsample!r} is unknown; choose one of {', '.join(SUBSAMPLES)}."
        )
    return parts[subsample]


def training_split(
    config: ConfigDict, dataset: Dataset | FeatureDataset, learned: Int[np.ndarray, "k"]
) -> ImageSplit | FeatureSplit:
    """The few shots of the learned classes; labels are still the data set's."""
    train = dataset.train.take(np.flatnonzero(np.isin(dataset.train.labels, learned)))
    if not len(train):
        raise UserError(f"{config.data!r} has no training examples of the learned classes.")
    return few_shot(train, config.shots, config.shots_seed) if config.shots else train


def _views(config: ConfigDict, dataset: Dataset | FeatureDataset) -> range:
    if config.views < 1:
        raise UserError(f"views={config.views}: give 1 for the photo itself, or more.")
    if config.views > 1 and isinstance(dataset, FeatureDataset):
        raise UserError(f"views={config.views} needs photos, but {config.data!r} holds features.")
    return range(config.views)


def _fingerprint(*splits: ImageSplit | FeatureSplit) -> str:
    text = "".join(split.fingerprint for split in splits)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
