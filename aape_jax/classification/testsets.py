"""The photos that a classification run is measured on, and the classes to choose from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from aape_jax.classification.bank import Bank
from aape_jax.classification.class_texts import BankTexts, encode_bank, open_classes, say_untold
from aape_jax.classification.views import view as photo_view
from aape_jax.core.presets import class_kinds
from common.clip import CLIP
from common.data import Dataset, FeatureDataset, FeatureSplit, ImageSplit
from common.data.clip_features import image_features
from common.data.further import open_further
from common.data.matching import match_names
from common.evaluation.classification import normalise
from common.protocols.measured import measurable, target_prefix
from common.protocols.table import DOMAIN_GENERALISATION


@dataclass(frozen=True, eq=False)
class TestSet:
    """Test photos of classes that compete with each other.

    Attributes:
      classnames: Of these classes.
      bank: Their text features; some classes may have no prompts.
      x: Unit-length image features, `[b p]`.
      labels: Numbered within `classnames`, `[b]`.
      names: Of the photos.
      fingerprint: Of the photos.
    """

    classnames: tuple[str, ...]
    bank: Bank
    x: Float[np.ndarray, "b p"]
    labels: Int[np.ndarray, "b"]
    names: tuple[str, ...] = ()
    fingerprint: str = ""

    @property
    def w(self) -> Float[np.ndarray, "k p"]:
        """The classes' features by the template alone: CLIP's classifier."""
        return self.bank.classes

    @property
    def means(self) -> Float[np.ndarray, "k p"] | None:
        """CuPL's classifier; None where some class has no sentence, or all but their template."""
        told = self.bank.told.all() and not self.bank.only_templates
        return self.bank.means if told else None

    def features(self, kind: str) -> Float[np.ndarray, "k p"]:
        """Return what stands for the classes, by a key of `CLASS_FEATURES`."""
        return self.bank.features(kind)


@dataclass(frozen=True, eq=False)
class Target:
    """Another data set whose test part is measured on, opened and not encoded.

    Attributes:
      spec: Its string.
      dataset: Those of its classes that compete.
      texts: Texts about them.
      run_classes: The run's own class of the same name, whose sentences it takes; -1 for none.
    """

    spec: str
    dataset: Dataset | FeatureDataset
    texts: Bank | BankTexts
    run_classes: Int[np.ndarray, "k"]

    @property
    def prefix(self) -> str:
        """Of the metrics' names."""
        return target_prefix(self.dataset)


def own_sets(
    clip: CLIP | None,
    split: ImageSplit | FeatureSplit,
    classnames: Sequence[str],
    bank: Bank,
    parts: Mapping[str, Int[np.ndarray, "k"]],
    cache: Path,
) -> dict[str, TestSet]:
    """Encode a run's own data set as a whole, so that all its parts share one cache."""
    x = encode(clip, split, cache)
    sets = {}
    for prefix, classes in parts.items():
        rows = np.flatnonzero(np.isin(split.labels, classes))
        sets[prefix] = TestSet(
            classnames=tuple(classnames[row] for row in classes),
            bank=bank.take(classes),
            x=x[rows],
            labels=np.searchsorted(classes, split.labels[rows]),
            names=tuple(split.names[row] for row in rows),
            fingerprint=split.fingerprint,
        )
    return sets


def open_target(
    config: ConfigDict,
    spec: str,
    learned: Callable[[], ImageSplit | FeatureSplit],
    run_classnames: Sequence[str] = (),
    run_told: Sequence[bool] | Bool[np.ndarray, "k"] = (),
) -> Target:
    """Open the test part of another data set, over all of its classes.

    Args:
      config: The run's.
      spec: The data set's string.
      learned: As of `open_further`.
      run_classnames: The run's own classes, in their order.
      run_told: For which of them the run has sentences.

    Raises:
      UserError: It cannot be opened, or nothing can be measured on it.
    """
    dataset = open_further(spec, learned, config.holdout)
    shown_alone = config.protocol == DOMAIN_GENERALISATION
    dataset = measurable(spec, dataset, shown_alone=shown_alone)
    names, kinds = dataset.classnames, class_kinds(config)
    texts = open_classes(config, spec, names, kinds, run_classnames)
    named = enumerate(zip(run_classnames, run_told, strict=True))
    row_of = {name: row for row, (name, told) in named if told}
    keys = match_names(names, row_of, "the classes of data").keys
    run_classes = np.array([row_of[keys[name]] if name in keys else -1 for name in names])
    say_untold(config, kinds, names, texts.told | (run_classes >= 0))
    return Target(spec, dataset, texts, run_classes)


def encode_target(
    target: Target, clip: CLIP | None, cache: Path, bank: Bank | None = None
) -> TestSet:
    """Return the features of a target's photos and classes.

    Args:
      target: Of `open_target`.
      clip: None where only features are at hand.
      cache: Folder of what was encoded before.
      bank: Of the classes that `target.run_classes` numbers.
    """
    dataset, texts = target.dataset, encode_bank(target.texts, clip, cache)
    return TestSet(
        classnames=dataset.classnames,
        bank=texts if bank is None else texts.told_by(bank, target.run_classes),
        x=encode(clip, dataset.test, cache),
        labels=dataset.test.labels,
        names=dataset.test.names,
        fingerprint=dataset.test.fingerprint,
    )


def encode(
    clip: CLIP | None, split: ImageSplit | FeatureSplit, cache: Path, view: int = 0, seed: int = 0
) -> Float[np.ndarray, "b p"]:
    """Return unit-length features of a split's photos, or of one view of them."""
    if isinstance(split, FeatureSplit):
        return normalise(split.features)
    version = photo_view(view, clip.preprocess.size, seed)
    return normalise(image_features(clip, split, cache, version))
