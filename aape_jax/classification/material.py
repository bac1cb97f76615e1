"""Everything frozen that a classification run reads: features of photos, classes and prompts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from aape_jax.classification.bank import Bank
from aape_jax.classification.baselines.few_shot import FEW_SHOT
from aape_jax.classification.class_texts import encode_bank
from aape_jax.classification.inputs import AnySplit, ClassificationInputs, open_inputs
from aape_jax.classification.testsets import TestSet, encode, encode_target, own_sets
from common.clip import CLIP
from common.data import ImageSplit
from common.data.shared import say_shared
from common.photos.broken import named_together
from common.protocols.models import cache_of


@dataclass(frozen=True, eq=False)
class Material:
    """Features of all that a classification run reads, and what they belong to.

    Attributes:
      clip: None where only features are at hand.
      classnames: Of all classes.
      bank: Their text features.
      learned: The classes that are trained on, as rows of the bank.
      x: Unit-length features of V views of the training photos, `[v b p]`.
      labels: Numbered within `learned`, `[b]`.
      tests: By the prefix of the metrics: "" for all classes, or "base/" and "new/"; then the
        further data sets, each by its name.
      validation: On the learned classes, where a baseline chooses numbers with it; or None.
      photos: The training photos; None where only features are at hand.
      idle: What is not measured and why, a line each.
      fingerprint: Of the training photos.
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
    idle: tuple[str, ...]
    fingerprint: str


def gather(config: ConfigDict) -> Material:
    """Load CLIP, open the photos and encode whatever is not in the cache.

    Raises:
      UserError: Models, photos or prompts cannot be had, or their widths differ.
    """
    return encode_all(open_inputs(config))


def encode_all(opened: ClassificationInputs) -> Material:
    """Return the features of all that was opened, of which the cache may hold some.

    Raises:
      UserError: Photos are broken; all of them are named.
    """
    config, clip, dataset, train = opened.config, opened.clip, opened.dataset, opened.train
    cache, validation = cache_of(config), None
    bank = encode_bank(opened.texts, clip, cache)
    validated = any(x in FEW_SHOT and FEW_SHOT[x].validates for x in config.baselines)
    val = dataset.val if validated else None
    with named_together(train, val, *_tested(opened)):
        x = np.stack([encode(clip, train, cache, v, config.seed) for v in range(config.views)])
        tests = _test_sets(opened, bank)
        if val is not None:
            learned = {"": opened.learned}
            (validation,) = own_sets(clip, val, dataset.classnames, bank, learned, cache).values()
    say_shared(train, *_tested(opened))
    return Material(
        clip=clip,
        classnames=dataset.classnames,
        bank=bank,
        learned=opened.learned,
        x=x,
        labels=np.searchsorted(opened.learned, train.labels),
        tests=tests,
        validation=validation if validation and len(validation.labels) else None,
        photos=train if isinstance(train, ImageSplit) else None,
        idle=opened.idle,
        fingerprint=train.fingerprint,
    )


def encode_tests(opened: ClassificationInputs) -> dict[str, TestSet]:
    """Return the test sets alone, by the prefix of the metrics; no other photo is encoded.

    Raises:
      UserError: Photos are broken; all of them are named.
    """
    bank = encode_bank(opened.texts, opened.clip, cache_of(opened.config))
    with named_together(*_tested(opened)):
        return _test_sets(opened, bank)


def _tested(opened: ClassificationInputs) -> list[AnySplit]:
    """Return the photos that are measured on."""
    return [opened.dataset.test, *(target.dataset.test for target in opened.targets)]


def _test_sets(opened: ClassificationInputs, bank: Bank) -> dict[str, TestSet]:
    clip, dataset, cache = opened.clip, opened.dataset, cache_of(opened.config)
    targets = {x.prefix: encode_target(x, clip, cache, bank) for x in opened.targets}
    own = own_sets(clip, dataset.test, dataset.classnames, bank, opened.parts, cache)
    return {prefix: test for prefix, test in own.items() if prefix in opened.sizes} | targets
