"""What the terms of MC-TI's tables mean."""

from collections.abc import Mapping
from typing import Any

from common.terms import COMMON, Terms

TERMS = Terms(
    rows={
        "mcti": "MC-TI: one learned token for each class",
        "ti": "plain textual inversion: MC-TI without its classification loss (gamma=0)",
        "names": "zero-shot CLIP with the names of the classes",
    },
    metrics={
        "accuracy": "share of the test photos whose class is found, by the mean over templates",
        "class_accuracy": "the same for each class, then the mean over classes",
        "accuracy_single": 'the same as accuracy, by the prompt "a photo of a X" alone',
        "bank_accuracy": "share of the training photos that find their class",
        "mixed/learned": "share of the photos of learned classes that get theirs, names beside",
        "mixed/named": "share of the photos of named classes that get theirs, tokens beside",
        "mixed/harmonic": "harmonic mean of the two",
        "generated/accuracy": "share of the drawn pictures whose class the tokens find",
        "generated/accuracy_by_photos": "the same, judged by the training photos instead",
        "generated/clip_i": "cosine of drawn pictures and training photos of a class, in CLIP",
        "generated/clip_t": "cosine of drawn pictures and their token's text feature, in CLIP",
        "generated/diversity": "1 - cosine of the pictures of a class among themselves",
        "drift/norm": "length of the learned vectors",
        "drift/distance": "how far they are from the noun",
        "drift/cosine_to_start": "cosine with the noun: 1 is the same direction",
        "mse": "mean squared error of the predicted noise",
        "ce": "cross-entropy of the class among all classes",
        "joint_ce": "cross-entropy of a photo's class among all tokens",
        "joint_accuracy": "share of the training photos that find their token",
    },
    pictures={
        "samples": "training photos, and what the tokens draw",
        "preview": "what the tokens draw from the prompts of preview.prompts, with the same noise",
    },
)

NEAREST_WORDS = {"nearest words": "what the vocabulary has in the direction of the token"}
"""A column of the table of tokens."""

PAPER, JOINT = ("ce", "bank_accuracy"), ("joint_ce", "joint_accuracy")
UPDATE = {"paper": PAPER, "joint": JOINT, "both": PAPER + JOINT}
"""What an update reports of its classification, by its form."""


def update_terms(classification: str) -> Mapping[str, str]:
    """Return what an update reports, and what it means."""
    return {f"mcti/{name}": TERMS.metrics[name] for name in ("mse", *UPDATE[classification])}


def legend(result: Mapping[str, Any]) -> str:
    """Return a line for each term that the tables of a result hold."""
    terms = TERMS.over(COMMON)
    names = {**result["metrics"], **result["baselines"], **NEAREST_WORDS}
    meanings = {**terms.metrics, **terms.rows, **NEAREST_WORDS}
    lines = {name: meanings[name] for name in meanings if name in names}
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())
