"""The losses by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from protext_jax.losses import LOSSES, sentence_targets

pytestmark = pytest.mark.usefixtures("quick_compiler")

RNG = np.random.default_rng(0)


def units(*shape):
    x = RNG.standard_normal(shape).astype(np.float32)
    return jnp.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True))


FEATURES, TARGETS, LABEL = units(3, 8), units(7, 8), jnp.array([0, 0, 1, 2, 1, 0, 2])
ROWS = jnp.array([[0, 1, 5], [2, 4, 99], [3, 6, 99], [99, 99, 99]])


def by_hand(loss):
    """The mean over pairs, as a loop."""
    values = []
    features = np.asarray(FEATURES, np.float64)
    for label, target in zip(np.asarray(LABEL), np.asarray(TARGETS, np.float64), strict=True):
        own = features[label]
        logits = 100 * features @ target
        values.append(
            {
                "l2": np.mean((own - target) ** 2),
                "l1": np.mean(np.abs(own - target)),
                "cosine": 1 - own @ target,
                "contrastive": np.log(np.exp(logits - logits[label]).sum()),
            }[loss]
        )
    return np.mean(values)


@pytest.mark.parametrize("loss", LOSSES)
def test_both_forms(loss):
    found = LOSSES[loss].pairs(FEATURES[LABEL], TARGETS, LABEL)
    assert float(found) == pytest.approx(by_hand(loss), rel=1e-5)
    # Four slots, of which the last has no pair.
    features = jnp.concatenate([FEATURES, units(1, 8)])
    targets, real = sentence_targets(TARGETS, ROWS)
    assert real.sum() == len(LABEL)
    total = LOSSES[loss].classes(features, targets, real, lambda x: x)
    assert float(total) / len(LABEL) == pytest.approx(by_hand(loss), rel=1e-5)


def test_the_papers_weight():
    assert LOSSES["l2"].weight == 1000 and LOSSES["l1"].weight == 1
