"""Few-shot classifiers on the same cached features.

Each takes a `Problem` and gives a function from features and candidate classes to scores.
Tip-Adapter's keys belong to the learned classes, so it has nothing to say about others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int

from aape_jax.core.losses import classification
from aape_jax.core.unit import unit
from common.evaluation.classification import accuracy
from common.protocols.epochs import Sampler
from common.protocols.fitting import fit
from common.seeds import random_key

# The authors' settings for ImageNet (gaopengcuhk/Tip-Adapter, configs/imagenet.yaml). They choose
# the epoch of Tip-Adapter-F on the test photos; here the last one counts.
TIP_ALPHA, TIP_BETA = 1.17, 1.0
TIP_ALPHAS = np.linspace(0.1, 3.0, 20, endpoint=False)
TIP_BETAS = np.linspace(0.1, 7.0, 200, endpoint=False)
TIP_EPOCHS, TIP_BATCH, TIP_RATE, TIP_DECAY = 20, 256, 1e-3, 1e-2
TIP_AT_ONCE = 1024  # photos: with all of ImageNet's the affinities take gigabytes
# The bottleneck and the mix are CLIP-Adapter's; its training is ours.
ADAPTER_REDUCTION, ADAPTER_RATIO = 4, 0.2
ADAPTER_EPOCHS, ADAPTER_RATE = 50, 1e-3
SCALE = 100.0


@dataclass(frozen=True, eq=False)
class Problem:
    """What a few-shot classifier learns from; all features are of unit length.

    Attributes:
      x, labels: Training features and their classes.
      w: Class features of the learned classes. Without a text tower these may be class means.
      validation: Features and classes to choose numbers with; or None.
      batch, seed: Of training.
    """

    x: Float[np.ndarray, "b p"]
    labels: Int[np.ndarray, "b"]
    w: Float[np.ndarray, "k p"]
    validation: tuple[np.ndarray, np.ndarray] | None
    batch: int
    seed: int


Scores = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
"""`scores(x, w) -> [b k]`; `w` is None for the learned classes, or other class features."""


def tip_adapter(problem: Problem) -> Scores:
    """Add a cache of the training features to the zero-shot logits (arXiv 2207.09519)."""
    return _tip(problem, problem.x)


def tip_adapter_f(problem: Problem) -> Scores:
    """Train Tip-Adapter with trained keys."""
    sampler = Sampler(len(problem.x), TIP_BATCH, problem.seed)
    steps = TIP_EPOCHS * sampler.per_epoch
    frozen = {"x": problem.x, "labels": problem.labels, "w": problem.w}
    frozen["values"] = np.eye(len(problem.w), dtype=np.float32)[problem.labels]
    rate = optax.cosine_decay_schedule(TIP_RATE, steps)
    optimizer = optax.adamw(rate, eps=1e-4, weight_decay=TIP_DECAY)
    keys, batches = jnp.asarray(problem.x), sampler.steps(steps)
    keys = fit(_tip_loss, keys, frozen, batches, optimizer, "Tip-Adapter-F")
    return _tip(problem, np.asarray(keys))


def clip_adapter(problem: Problem) -> Scores:
    """Train a residual bottleneck on the image feature (arXiv 2110.04544)."""
    width = problem.x.shape[1]
    hidden = max(1, width // ADAPTER_REDUCTION)
    down, up = jax.random.split(random_key(problem.seed))
    start = jax.nn.initializers.he_uniform()
    params = {"down": start(down, (width, hidden)), "up": start(up, (hidden, width))}
    sampler = Sampler(len(problem.x), problem.batch, problem.seed)
    steps = ADAPTER_EPOCHS * sampler.per_epoch
    frozen = {"x": problem.x, "labels": problem.labels, "w": problem.w}
    optimizer = optax.adamw(optax.cosine_decay_schedule(ADAPTER_RATE, steps))
    params = fit(_adapter_loss, params, frozen, sampler.steps(steps), optimizer, "CLIP-Adapter")

    def scores(x: np.ndarray, w: np.ndarray | None) -> np.ndarray:
        adapted = _adapt(params, jnp.asarray(x))
        return np.asarray(adapted) @ (problem.w if w is None else w).T

    return scores


@dataclass(frozen=True)
class FewShot:
    """A few-shot classifier.

    Attributes:
      learn: What trains it.
      other_classes: Whether it tells classes apart that it did not learn.
      validates: Whether it chooses numbers with validation photos.
    """

    learn: Callable[[Problem], Scores]
    other_classes: bool
    validates: bool


FEW_SHOT: Mapping[str, FewShot] = {
    "tip_adapter": FewShot(tip_adapter, other_classes=False, validates=True),
    "tip_adapter_f": FewShot(tip_adapter_f, other_classes=False, validates=True),
    "clip_adapter": FewShot(clip_adapter, other_classes=True, validates=False),
}


def _tip_loss(keys: jax.Array, frozen: dict, rows: jax.Array) -> jax.Array:
    x = frozen["x"][rows]
    affinity = jnp.exp(-TIP_BETA * (1 - x @ keys.T))
    logits = SCALE * x @ frozen["w"].T + TIP_ALPHA * affinity @ frozen["values"]
    return classification(logits, frozen["labels"][rows])


def _tip(problem: Problem, keys: np.ndarray) -> Scores:
    values = np.eye(len(problem.w), dtype=np.float32)[problem.labels]

    def zero_shot(x: np.ndarray) -> np.ndarray:
        return SCALE * x @ problem.w.T

    def cached(affinity: np.ndarray, beta: float) -> np.ndarray:
        return np.exp(-beta * (1 - affinity)) @ values

    alpha, beta = TIP_ALPHA, TIP_BETA
    if problem.validation is not None:
        x, labels = problem.validation
        alpha, beta = _search(zero_shot(x), partial(cached, x @ keys.T), labels)

    def scores(x: np.ndarray, w: np.ndarray | None) -> np.ndarray:
        if w is not None:
            raise ValueError("Tip-Adapter has no path to classes that it did not learn")
        blocks = np.split(x, range(TIP_AT_ONCE, len(x), TIP_AT_ONCE))
        return np.concatenate(
            [zero_shot(block) + alpha * cached(block @ keys.T, beta) for block in blocks]
        )

    return scores


def _search(
    zero_shot: Float[np.ndarray, "b k"],
    cached: Callable[[float], Float[np.ndarray, "b k"]],
    labels: Int[np.ndarray, "b"],
) -> tuple[float, float]:
    """Return the first alpha and beta of the highest accuracy."""
    best, best_pair = -1.0, (TIP_ALPHA, TIP_BETA)
    for beta in TIP_BETAS:
        added = cached(beta)
        for alpha in TIP_ALPHAS:
            score = accuracy((zero_shot + alpha * added).argmax(axis=1), labels)
            if score > best:
                best, best_pair = score, (alpha, beta)
    return best_pair


def _adapt(params: dict, x: jax.Array) -> jax.Array:
    hidden = jax.nn.relu(x @ params["down"])
    adapted = jax.nn.relu(hidden @ params["up"])
    return unit(ADAPTER_RATIO * adapted + (1 - ADAPTER_RATIO) * x)


def _adapter_loss(params: dict, frozen: dict, rows: jax.Array) -> jax.Array:
    logits = SCALE * _adapt(params, frozen["x"][rows]) @ frozen["w"].T
    return classification(logits, frozen["labels"][rows])
