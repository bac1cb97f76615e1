"""The photos that a classification run is measured on, and the classes that compete on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from aape_jax.bank import Bank, class_features
from aape_jax.views import view as photo_view
from common.clip import CLIP
from common.data import FeatureSplit, ImageSplit, open_dataset
from common.data.clip_features import image_features
from common.data.dataset import select_classes
from common.data.matching import match_names
from common.errors import UserError
from common.evaluation.classification import normalise


@dataclass(frozen=True, eq=False)
class TestSet:
    """Test photos of classes that compete with each other.

    Attributes:
      classnames: Of these classes.
      w: Their features, unit length, `[k p]`.
      means: CuPL's features of them, `[k p]`; None where some class has no sentence.
      x: Unit-length image features, `[b p]`.
      labels: Numbered within `classnames`, `[b]`.
      fingerprint: Of the photos.
    """

    classnames: tuple[str, ...]
    w: Float[np.ndarray, "k p"]
    means: Float[np.ndarray, "k p"] | None
    x: Float[np.ndarray, "b p"]
    labels: Int[np.ndarray, "b"]
    fingerprint: str = ""


def fault(test: TestSet) -> str:
    """Why nothing can be measured on a test set; "" where something can."""
    if len(test.classnames) < 2:
        return f"has {len(test.classnames) or 'no'} class to choose from"
    return "" if len(test.labels) else "has no test photos"


def own_sets(
    clip: CLIP | None,
    split: ImageSplit | FeatureSplit,
    classnames: Sequence[str],
    bank: Bank,
    parts: Mapping[str, Int[np.ndarray, "k"]],
    cache: Path,
) -> dict[str, TestSet]:
    """The parts of a run's own data set; encoded as a whole, so that all share one cache."""
    x = encode(clip, split, cache)
    if len(x) and x.shape[1] != bank.classes.shape[1]:
        raise UserError(
            f"the image features of the test have width {x.shape[1]} and the text features "
            f"{bank.classes.shape[1]}: take both from one model."
        )
    sets = {}
    for prefix, classes in parts.items():
        rows = np.flatnonzero(np.isin(split.labels, classes))
        sets[prefix] = TestSet(
            classnames=tuple(classnames[row] for row in classes),
            w=bank.classes[classes],
            means=bank.means[classes],
            x=x[rows],
            labels=np.searchsorted(classes, split.labels[rows]),
            fingerprint=split.fingerprint,
        )
    return sets


def target_set(
    config: ConfigDict,
    clip: CLIP | None,
    spec: str,
    means: Mapping[str, Float[np.ndarray, "p"]],
) -> tuple[str, TestSet]:
    """The test part of another data set, over all of its classes, with its metrics' prefix.

    Args:
      config: The run's.
      clip: None where only features are at hand.
      spec: The data set's string.
      means: CuPL's features by class name; they serve where they tell of every class.

    Raises:
      UserError: it cannot be opened, or its features are another model's.
    """
    dataset = open_dataset(spec, holdout=config.holdout)
    if config.protocol == "domain_generalisation":  # ImageNet-A and -R show 200 classes each.
        dataset = select_classes(dataset, np.unique(dataset.test.labels).tolist())
    cache = Path(config.cache).expanduser()
    w = class_features(config, spec, dataset.classnames, clip, cache)
    x = encode(clip, dataset.test, cache)
    if x.shape[1] != w.shape[1]:
        raise UserError(
            f"the image features of {spec!r} have width {x.shape[1]} and the text features "
            f"{w.shape[1]}: take both from one model."
        )
    told = match_names(dataset.classnames, means, "the classes of data")
    own = None
    if not told.unmatched:
        own = np.stack([means[told.keys[name]] for name in dataset.classnames])
    test = TestSet(dataset.classnames, w, own, x, dataset.test.labels, dataset.test.fingerprint)
    if reason := fault(test):
        raise UserError(
            f"{spec} {reason}, so nothing can be measured on it: name another data set."
        )
    name = dataset.name.removeprefix("pocket:").replace("/", "-")
    return f"{name}/", test


def encode(
    clip: CLIP | None, split: ImageSplit | FeatureSplit, cache: Path, view: int = 0, seed: int = 0
) -> Float[np.ndarray, "b p"]:
    """Unit-length features of a split's photos, or of one view of them.

    Raises:
      UserError: there is no image tower.
    """
    if isinstance(split, FeatureSplit):
        return normalise(split.features)
    if clip is None:
        raise UserError("model='' leaves no image tower for photos: name a model.")
    version = photo_view(view, clip.preprocess.size, seed)
    return normalise(image_features(clip, split, cache, version))
