"""What a classification run says of itself: what it learns from, and all that it reads."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from aape_jax.classification.inputs import ClassificationInputs
from aape_jax.classification.material import Material
from aape_jax.core.summary import array_digest, encoders, evaluation
from common.data import ImageSplit
from common.data.passed_over import listed
from common.weights.fingerprint import digest


def summary(opened: ClassificationInputs) -> dict[str, str]:
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


def tests_row(sizes: Mapping[str, str], what: str) -> str:
    """Return what each test set holds, or that nothing is measured."""
    named = [
        f"{size} {prefix.removesuffix('/')} {what}" if prefix else f"{size} {what}"
        for prefix, size in sizes.items()
    ]
    return ", ".join(named) or "nothing: nothing is measured"


def fingerprints(config: ConfigDict, material: Material) -> dict[str, str]:
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
