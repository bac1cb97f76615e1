"""A tiny batch of random unit vectors, with ragged prompts."""

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from aape_jax.core.aggregators import AggregatorInput, make_aggregator
from aape_jax.core.objective import Batch
from aape_jax.core.texts import by_class
from configs.aape import get_config

CLASSES, WIDTH, IMAGES = 5, 16, 6
PROMPTS = (4, 1, 3, 6, 2)
KEY = jax.random.key(0)


def vectors(*shape, seed=0):
    drawn = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=-1, keepdims=True)


def batch(seed=0):
    labels = np.repeat(np.arange(CLASSES), PROMPTS)
    prompts, mask = by_class(vectors(len(labels), WIDTH, seed=seed + 1), labels, CLASSES)
    own = np.random.default_rng(seed).integers(0, CLASSES, IMAGES)
    return Batch(
        x=jnp.asarray(vectors(IMAGES, WIDTH, seed=seed + 2)),
        labels=jnp.asarray(own),
        rows=jnp.arange(IMAGES),
        classes=jnp.asarray(vectors(CLASSES, WIDTH, seed=seed + 3)),
        prompts=jnp.asarray(prompts),
        mask=jnp.asarray(mask),
    )


def given(seed=0):
    images = batch(seed)
    own = images.labels
    return AggregatorInput(images.prompts[own], images.mask[own], images.x, own)


def settings(**changes):
    """The config of h and g with fields changed; dots are written as double underscores."""
    config = ConfigDict(get_config("preset=projection").to_dict())
    config.compare, config.baselines = (), ()
    config.generator.hidden = config.projection.hidden = 4
    config.update_from_flattened_dict(
        {name.replace("__", "."): value for name, value in changes.items()}
    )
    return config.lock()


def aggregator(kind, **changes):
    config = settings(aggregator__kind=kind, **changes)
    made = make_aggregator(config.aggregator)
    params = made.init(jax.random.key(1), WIDTH, CLASSES)
    return made, disturbed(params)


def disturbed(params, seed=0, size=0.3):
    """Parameters away from their start, so that each of them matters."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: leaf + size * rng.standard_normal(leaf.shape).astype(np.float32), params
    )
