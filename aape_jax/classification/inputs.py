"""Everything that a classification run reads, opened and checked; nothing is encoded yet."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from ml_collections import ConfigDict

from aape_jax.classification.bank import Bank
from aape_jax.classification.class_texts import BankTexts, open_bank, say_untold
from aape_jax.classification.recipes import with_defaults
from aape_jax.classification.testsets import Target, open_target
from aape_jax.core.presets import class_kinds
from common.clip import CLIP
from common.data import Dataset, FeatureDataset, FeatureSplit, ImageSplit, few_shot, open_dataset
from common.errors import UserError
from common.protocols.class_parts import class_parts, learned_classes
from common.protocols.measured import fault, idle_line, require_distinct
from common.protocols.models import clip_of

AnySplit = ImageSplit | FeatureSplit


@dataclass(frozen=True, eq=False)
class ClassificationInputs:
    """What a classification run reads: its models, photos and texts, none of them encoded.

    Attributes:
      config: The run's, with nothing left to be filled in.
      clip: None where only features are at hand.
      dataset: The run's own.
      parts: The classes that compete, by the prefix of their metrics; the first are learned.
      train: The photos to learn from; labels are still the data set's.
      texts: Texts about the classes.
      targets: The further data sets that are measured on.
      sizes: How many photos and classes are measured on, by the prefix of the metrics.
      idle: What is not measured and why, a line each.
    """

    config: ConfigDict
    clip: CLIP | None
    dataset: Dataset | FeatureDataset
    parts: Mapping[str, Int[np.ndarray, "k"]]
    train: AnySplit
    texts: Bank | BankTexts
    targets: tuple[Target, ...]
    sizes: Mapping[str, tuple[int, int]]
    idle: tuple[str, ...]

    @property
    def learned(self) -> Int[np.ndarray, "k"]:
        """The classes that are trained on."""
        return next(iter(self.parts.values()))

    @property
    def width(self) -> int:
        """Of all features."""
        return text_width(self.texts, self.clip)

    @property
    def available(self) -> int:
        """How many training photos of the learned classes there are, used or not."""
        return int(np.isin(self.dataset.train.labels, self.learned).sum())


def open_inputs(config: ConfigDict) -> ClassificationInputs:
    """Open data and sentences, and load CLIP.

    Raises:
      UserError: Models, photos or prompts cannot be had, or their widths differ.
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
    if config.views > 1 and isinstance(dataset, FeatureDataset):
        raise UserError(f"views={config.views} needs photos, but {config.data!r} holds features.")
    texts = open_bank(config, config.data, dataset.classnames, learned)
    competing = np.concatenate([*parts.values()])
    names = [dataset.classnames[row] for row in competing]
    say_untold(config, class_kinds(config), names, texts.told[competing])
    targets = tuple(
        open_target(config, spec, lambda: train, dataset.classnames, texts.told)
        for spec in config.targets
    )
    require_distinct([(target.spec, target.prefix) for target in targets])
    clip = clip_of(config)
    require_one_width(clip, train, texts, repr(config.data))
    for split in filter(None, (dataset.test, dataset.val)):
        require_one_width(clip, split, texts, "the test")
    for target in targets:
        require_one_width(clip, target.dataset.test, target.texts, repr(target.spec))
    own_sizes, idle = _own_tests(config, dataset, parts)
    target_sizes = {x.prefix: (len(x.dataset.test), len(x.dataset.classnames)) for x in targets}
    return ClassificationInputs(
        config=config,
        clip=clip,
        dataset=dataset,
        parts=parts,
        train=train,
        texts=texts,
        targets=targets,
        sizes=own_sizes | target_sizes,
        idle=idle,
    )


def _own_tests(
    config: ConfigDict, dataset: Dataset | FeatureDataset, parts: Mapping[str, Int[np.ndarray, "k"]]
) -> tuple[dict[str, tuple[int, int]], tuple[str, ...]]:
    """Return the `sizes` of the parts that are measured on, and the `idle` lines of the others."""
    sizes = {
        prefix: (int(np.isin(dataset.test.labels, classes).sum()), len(classes))
        for prefix, classes in parts.items()
    }
    faults = {prefix: fault(classes, photos) for prefix, (photos, classes) in sizes.items()}
    measured = {prefix: size for prefix, size in sizes.items() if not faults[prefix]}
    idle = [idle_line(config.data, prefix, why) for prefix, why in faults.items() if why]
    return measured, tuple(idle)


def learned_photos(config: ConfigDict) -> AnySplit:
    """Return what a run learned from; labels are the data set's.

    Raises:
      UserError: The data set is not at hand.
    """
    config = with_defaults(config)
    dataset = open_dataset(config.data, holdout=config.holdout)
    learned = learned_classes(config.subsample, len(dataset.classnames))
    return training_split(config, dataset, learned)


def training_split(
    config: ConfigDict, dataset: Dataset | FeatureDataset, learned: Int[np.ndarray, "k"]
) -> AnySplit:
    """Return the few shots of the learned classes; labels are still the data set's."""
    train = dataset.train.take(np.flatnonzero(np.isin(dataset.train.labels, learned)))
    if not len(train):
        raise UserError(f"{config.data!r} has no training examples of the learned classes.")
    return few_shot(train, config.shots, config.shots_seed) if config.shots else train


def text_width(texts: Bank | BankTexts, clip: CLIP | None) -> int:
    """Return the width of some texts' features, present or to come."""
    known = isinstance(texts, Bank)
    return texts.classes.shape[1] if known else clip.config.text.projection


def require_one_width(
    clip: CLIP | None, split: AnySplit, texts: Bank | BankTexts, what: str
) -> None:
    """Refuse photos whose features cannot be compared with those of texts.

    Args:
      clip: None where only features are at hand.
      split: The photos.
      texts: Texts about their classes.
      what: The photos are called.

    Raises:
      UserError: There is no image tower, or the widths differ.
    """
    if isinstance(split, ImageSplit) and clip is None:
        raise UserError(
            "model='' leaves no image tower for photos: give data=features:FILE.npz, or train with "
            "a model."
        )
    features = isinstance(split, FeatureSplit)
    images = split.features.shape[1] if features else clip.config.text.projection
    if len(split) and images != text_width(texts, clip):
        raise UserError(
            f"the image features of {what} have width {images} and the text features "
            f"{text_width(texts, clip)}: take both from one model."
        )
