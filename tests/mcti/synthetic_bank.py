"""Image features with the statistics of a real 20-class, 5-shot CLIP ViT-L/14 bank.

Not only the mean cosines are like the real bank's, but their spread too: classes and photos
vary within the same few directions, so that some classes lie close and some photos go astray.
Without that every classifier is perfect, and a test on it would show nothing.
"""

import numpy as np

COUNTS = (5, 5, 5, 5, 5, 5, 5, 5, 3, 5, 4, 3, 5, 4, 5, 4, 5, 5, 5, 6)
LABELS = np.repeat(np.arange(len(COUNTS)), COUNTS)
WIDTH = 768
DIRECTIONS = 8  # along which classes, and half of what tells photos apart, vary
# Shares of a feature's squared length: common to all, of its class, of the photo itself.
COMMON, CLASS, PHOTO = 0.557, 0.277, 0.166


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def directions(rng, count, width):
    return unit(rng.standard_normal((count, width)))


def uneven(rng, count, mean, spread):
    """Positive numbers of the given mean, some of them far above it."""
    values = np.exp(spread * rng.standard_normal(count))
    return (mean * values / values.mean())[:, None]


def synthetic_bank(seed=0):
    """Features of 94 photos and of their mirrors, not normalised: float32 [2, 94, 768]."""
    rng = np.random.default_rng(seed)
    photos = len(LABELS)
    common, *shared = directions(rng, 1 + DIRECTIONS, WIDTH)
    classes = directions(rng, len(COUNTS), DIRECTIONS) @ shared
    own = directions(rng, photos, DIRECTIONS) @ shared + directions(rng, photos, WIDTH)
    features = np.sqrt(COMMON) * common + np.sqrt(CLASS) * classes[LABELS]
    features += np.sqrt(uneven(rng, photos, PHOTO / 2, 0.4)) * own
    features = unit(features)
    change = np.sqrt(2 * uneven(rng, photos, 0.011, 0.8)) * directions(rng, photos, WIDTH)
    norms = np.clip(rng.normal(18.28, 1.2, (2, photos, 1)), 15.49, 21.40)
    return (norms * unit(np.stack([features, features + change]))).astype(np.float32)
