"""What a run of any task says of itself: what it learns from, and what it reads."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import PyTree

from common.clip import CLIP
from common.training.types import EVALUATION
from common.weights.fingerprint import digest, fingerprint

TEST_DATA = "test data"
"""How the fingerprint of test images and their texts is called."""

FEATURES = "features"
"""Stands for the fingerprint of a CLIP where features are all that is at hand."""


def pairs_summary(train: int, texts: int, test: int, what: str) -> dict[str, str]:
    """Return the rows of a run on images that have texts of their own, e.g. captions."""
    return {
        "learns from": f"{train} images, {texts} {what}",
        "kept for the test": f"{test} images",
    }


def encoders(clip: CLIP | None) -> dict[str, str]:
    """Fingerprint the parts of a CLIP that encode images and texts."""
    if clip is None:
        return {"model": FEATURES}
    return {
        "model": clip.fingerprint,
        "tokenizer": clip.tokenizer.fingerprint,
        "preprocessing": digest(repr(clip.preprocess)),
    }


def evaluation_fingerprints(measured: Mapping[str, Any]) -> dict[str, str]:
    """Fingerprint what only evaluation reads: a change of it is reported, not refused."""
    return {f"{EVALUATION}{name}": digest(content) for name, content in measured.items()}


def array_digest(tree: PyTree) -> str:
    """Return the fingerprint of arrays, alone or by name."""
    return fingerprint(tree if isinstance(tree, Mapping) else {"array": tree})
