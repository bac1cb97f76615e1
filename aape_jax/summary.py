"""What a run says of itself: what it learns from, and the fingerprints of all that it reads."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.classification_inputs import ClassificationInputs
from aape_jax.material import Material
from common.clip import CLIP
from common.data import ImageSplit
from common.data.passed_over import listed
from common.training.types import EVALUATION
from common.weights.fingerprint import digest, fingerprint

TEST_DATA = "test data"
"""How the fingerprint of test images and their texts is called."""


def classification_summary(opened: ClassificationInputs) -> dict[str, str]:
    """Return the rows of the table that a classification run begins with."""
    config, dataset, classes = opened.config, opened.dataset, opened.learned
    known, learned, used = len(dataset.classnames), len(classes), len(opened.train)
    half = "" if learned == known else f" of {known}, subsample={config.subsample}"
    kind = "photos" if isinstance(opened.train, ImageSplit) else "rows of features"
    told = opened.texts.sentences
    sentences = sum(len(told[row]) for row in classes) if told else 0
    taught = f", with {sentences} sentences" if sentences else ""
    left = opened.found - used
    drawn = f"{left} {kind}, for shots={config.shots}" if left else ""
    return {
        "classes": f"{learned}{half}",
        "learns from": f"{used} of {opened.found} {kind} of these classes{taught}",
        "passed over": "; ".join(filter(None, (drawn, listed(dataset.passed_over)))),
        "kept for the test": tests_row(
            {prefix: f"{photos} of {count}" for prefix, (photos, count) in opened.sizes.items()},
            "classes",
        ),
    }


def pairs_summary(train: int, texts: int, test: int, what: str) -> dict[str, str]:
    """Return the rows of a run on images that have texts of their own, e.g. captions."""
    return {
        "learns from": f"{train} images, {texts} {what}",
        "kept for the test": f"{test} images",
    }


def tests_row(sizes: Mapping[str, str], what: str) -> str:
    """Return what each test set holds, or that nothing is measured."""
    named = [
        f"{size} {prefix.removesuffix('/')} {what}" if prefix else f"{size} {what}"
        for prefix, size in sizes.items()
    ]
    return ", ".join(named) or "nothing: nothing is measured"


def classification_fingerprints(config: ConfigDict, material: Material) -> dict[str, str]:
    """Fingerprint everything that a classification run reads beside its training photos."""
    bank = material.bank.take(material.learned)
    names = [material.classnames[row] for row in material.learned]
    texts = bank.sentences or [array_digest(bank.prompts), array_digest(bank.classes)]
    tests = {prefix: [test.classnames, test.fingerprint] for prefix, test in material.tests.items()}
    found = {"prompts": digest([names, config.classifier.template, texts])}
    measured: dict[str, Any] = {"test photos": tests}
    if material.validation:
        measured["validation photos"] = material.validation.fingerprint
    if not material.bank.sentences:
        measured["class features"] = {
            prefix: array_digest(test.w) for prefix, test in material.tests.items()
        }
    return found | encoders(material.clip) | evaluation(measured)


def encoders(clip: CLIP | None) -> dict[str, str]:
    """Fingerprint the parts of a CLIP that encode images and texts."""
    if clip is None:
        return {"model": "features"}
    return {
        "model": clip.fingerprint,
        "tokenizer": clip.tokenizer.fingerprint,
        "preprocessing": digest(repr(clip.preprocess)),
    }


def evaluation(measured: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprint what only evaluation reads: a change of it is reported, not refused."""
    return {f"{EVALUATION}{name}": digest(content) for name, content in measured.items()}


def array_digest(tree: PyTree) -> str:
    """Return the fingerprint of arrays, alone or by name."""
    return fingerprint(tree if isinstance(tree, Mapping) else {"array": tree})
