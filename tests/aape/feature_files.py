"""Small data sets of features, so that commands need no model."""

from pathlib import Path

import numpy as np

from tests.aape.problem import vectors

CLASSES, WIDTH, PROMPTS = 6, 16, (3, 1, 4, 2, 5, 2)
NAMES = tuple(f"class_{i}" for i in range(CLASSES))


def features(folder: Path, shots: int = 8, tests: int = 10) -> Path:
    """Images scattered around a direction of their class; a text lies near it too."""
    centres = vectors(CLASSES, WIDTH, seed=1)
    arrays = {"classnames": np.array(NAMES)}
    for part, count, seed in (("train", shots, 2), ("test", tests, 3), ("val", 4, 4)):
        labels = np.repeat(np.arange(CLASSES), count)
        noise = vectors(len(labels), WIDTH, seed=seed)
        arrays |= {f"{part}_features": centres[labels] + 1.2 * noise, f"{part}_labels": labels}
    file = folder / "images.npz"
    np.savez(file, **arrays)
    return file


def texts(folder: Path, **changes) -> Path:
    """Class features and ragged prompts."""
    centres = vectors(CLASSES, WIDTH, seed=1)
    labels = np.repeat(np.arange(CLASSES), PROMPTS)
    arrays = {
        "classnames": np.array(NAMES),
        "class_features": centres + 0.8 * vectors(CLASSES, WIDTH, seed=5),
        "prompt_features": centres[labels] + 0.8 * vectors(len(labels), WIDTH, seed=6),
        "prompt_labels": labels,
        **changes,
    }
    file = folder / "texts.npz"
    np.savez(file, **arrays)
    return file


def captioned(folder: Path, images: int = 24, tests: int = 12) -> Path:
    """Images with one to three captions each."""
    arrays = {}
    for part, count, seed in (("train", images, 1), ("test", tests, 2)):
        x = vectors(count, WIDTH, seed=seed)
        owner = np.repeat(np.arange(count), np.arange(count) % 3 + 1)
        near = x[owner] + 0.8 * vectors(len(owner), WIDTH, seed=seed + 10)
        arrays |= {f"{part}_features": x, f"{part}_captions": near, f"{part}_owner": owner}
    file = folder / "captions.npz"
    np.savez(file, **arrays)
    return file
