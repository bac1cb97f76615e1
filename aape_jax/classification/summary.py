"""What a classification run says of itself: what it learns from, and all that it reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from ml_collections import ConfigDict

from aape_jax.classification.bank import Bank
from aape_jax.classification.class_texts import BankTexts
from aape_jax.classification.inputs import ClassificationInputs
from aape_jax.classification.material import Material
from aape_jax.core.class_features import TEMPLATE
from aape_jax.core.presets import class_kinds
from aape_jax.core.summary import array_digest, encoders, evaluation_fingerprints
from common.data import ImageSplit
from common.data.few_shot import shortfall_row
from common.data.passed_over import listed
from common.evaluation.classification import nearest_by_cosine
from common.training.summary import unread_counts
from common.weights.fingerprint import digest


def summary(opened: ClassificationInputs) -> dict[str, str]:
    """Return the rows of the table that a classification run begins with."""
    config, dataset, classes = opened.config, opened.dataset, opened.learned
    total, learned, used = len(dataset.classnames), len(classes), len(opened.train)
    half = "" if learned == total else f" of {total}, subsample={config.subsample}"
    kind = "photos" if isinstance(opened.train, ImageSplit) else "rows of features"
    sentences = () if opened.texts.only_templates else opened.texts.sentences
    sentence_count = sum(len(sentences[row]) for row in classes) if sentences else 0
    sentence_note = f", with {sentence_count} sentences" if sentence_count else ""
    unused = opened.available - used
    not_drawn = f"{unused} {kind}, for shots={config.shots}" if unused else ""
    names = [name if row in classes else "" for row, name in enumerate(dataset.classnames)]
    return {
        "classes": f"{learned}{half}",
        "learns from": f"{used} of {opened.available} {kind} of these classes{sentence_note}",
        **shortfall_row(opened.train, config.shots, names),
        "passed over": "; ".join(filter(None, (not_drawn, listed(dataset.passed_over)))),
        "kept for the test": tests_row(
            {prefix: f"{photos} of {count}" for prefix, (photos, count) in opened.sizes.items()}
        ),
        **unread_counts(config, {"classes": total}),
    }


def tests_row(sizes: Mapping[str, str]) -> str:
    """Return what each test set holds, or that nothing is measured."""
    phrases = [
        f"{size} {prefix.removesuffix('/')} classes" if prefix else f"{size} classes"
        for prefix, size in sizes.items()
    ]
    return ", ".join(phrases) or "nothing: nothing is measured"


def advice(config: ConfigDict, material: Material) -> str:
    """Return what to try where the template finds more training photos' classes than the sentences.

    It is empty where the difference is within two standard errors, photo by photo.
    """
    kind, bank = config.classifier.classes, material.bank.take(material.learned)
    template, chosen = (
        nearest_by_cosine(material.x[0], bank.features(name)) == material.labels
        for name in (TEMPLATE, kind)
    )
    lost, won = np.sum(template & ~chosen), np.sum(chosen & ~template)
    if lost - won <= 2 * np.sqrt(lost + won):
        return ""
    return (
        f"classifier.classes={kind} finds the class of {chosen.mean():.0%} of the training photos, "
        f"the template that of {template.mean():.0%}: here names say more than sentences. Try "
        "classifier.classes=template,loss.distill=false, which keeps to the names."
    )


def prompts_fingerprint(
    config: ConfigDict,
    classnames: Sequence[str],
    texts: Bank | BankTexts,
    learned: Int[np.ndarray, "k"],
) -> str:
    """Fingerprint what tells of the learned classes, of all classes' names and texts."""
    names = [classnames[row] for row in learned]
    if texts.sentences:
        told: list[Any] = [texts.sentences[row] for row in learned]
    else:
        bank = texts.take(learned)
        told = [array_digest(bank.prompts), array_digest(bank.classes)]
    return digest([names, config.classifier.template, told])


def fingerprints(config: ConfigDict, material: Material) -> dict[str, str]:
    """Fingerprint everything that a classification run reads beside its training photos."""
    tests = {prefix: [test.classnames, test.fingerprint] for prefix, test in material.tests.items()}
    texts = prompts_fingerprint(config, material.classnames, material.bank, material.learned)
    prints = {"prompts": texts}
    measured: dict[str, Any] = {"test photos": tests}
    if material.validation:
        measured["validation photos"] = material.validation.fingerprint
    if class_kinds(config) - {TEMPLATE}:
        measured["class sentences"] = {
            prefix: array_digest(test.bank.means) for prefix, test in material.tests.items()
        }
    if not material.bank.sentences:
        measured["class features"] = {
            prefix: array_digest(test.w) for prefix, test in material.tests.items()
        }
    return prints | encoders(material.clip) | evaluation_fingerprints(measured)
