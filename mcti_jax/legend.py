"""What the terms of a run's tables mean, for those who meet them for the first time."""

from collections.abc import Mapping
from typing import Any

TERMS: Mapping[str, str] = {
    "accuracy": "share of the test photos whose class is found, by the mean of 27 prompts",
    "class_accuracy": "the same for each class, then the mean over classes",
    "accuracy_single": 'the same as accuracy, by the prompt "a photo of a X" alone',
    "generated/accuracy": "share of the drawn pictures whose class the tokens find",
    "generated/accuracy_by_photos": "the same, judged by the training photos instead",
    "generated/clip_i": "cosine of drawn pictures and training photos of a class, in CLIP",
    "generated/clip_t": "cosine of drawn pictures and their token's text feature, in CLIP",
    "generated/diversity": "1 - cosine of the pictures of a class among themselves",
    "drift/norm": "length of the learned vectors",
    "drift/distance": "how far they are from the noun that they started as",
    "drift/cosine_to_start": "cosine with that noun: 1 is the same direction",
    "ti": "plain textual inversion, gamma=0, trained beside it",
    "nearest_class_mean": "no token: the mean feature of each class's training photos",
    "nearest_neighbour": "no token: the nearest training photo",
    "linear_probe": "no token: logistic regression on the features of the training photos",
    "names": "no token: CLIP with the names of the classes",
    "nearest words": "what the vocabulary has in the direction of the token",
}

_IMAGES = {
    "ce": "cross-entropy of the class among all classes",
    "bank_accuracy": "share of training photos that find their class",
}
_TEXTS = {
    "joint_ce": "cross-entropy of a photo's class among all tokens",
    "joint_accuracy": "share of training photos that find their token",
}
_CLASSIFICATION = {"paper": _IMAGES, "joint": _TEXTS, "both": _IMAGES | _TEXTS}


def update_terms(classification: str) -> Mapping[str, str]:
    """Return what an update reports, and what it means, by the form of classification."""
    terms = {"mse": "mean squared error of the predicted noise", **_CLASSIFICATION[classification]}
    return {f"mcti/{name}": text for name, text in terms.items()}


def legend(result: Mapping[str, Any]) -> str:
    """Return a line for each term that the tables of a result hold."""
    rows = {**result["metrics"], **result["baselines"], "nearest words": None}
    known = {name: TERMS[name] for name in TERMS if name in rows}
    width = max(map(len, known))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in known.items())
