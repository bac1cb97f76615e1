"""The classification terms alone: one free vector per class in place of a text feature."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mcti_jax.classifier import unit
from mcti_jax.draws import uniform_index
from mcti_jax.joint import classify_images, draw_joint
from mcti_jax.losses import Bank, classify

SAMPLES = 4


def on_device(bank):
    """The bank as the training loop would put it there."""
    return jax.tree.map(jnp.asarray, bank)


def start_near_the_mean(features, classes, seed=0):
    """Vectors that know nothing of their classes."""
    noise = np.random.default_rng(seed).normal(0, 0.01, (classes, features.shape[-1]))
    return jnp.asarray(features.mean(axis=0) + noise, jnp.float32)


@functools.partial(jax.jit, static_argnames=("scale", "updates"))
def train_vectors(bank: Bank, start, scale, updates, seed=0):
    """AdamW on the sum over classes; returns the vectors and the mean CE of each update.

    All classes share one draw of the bank's features, as in the package's default.
    """
    classes = len(start)
    label = jnp.repeat(jnp.arange(classes)[:, None], SAMPLES, axis=1)

    def loss(vectors, key):
        counts = jnp.broadcast_to(bank.counts, (SAMPLES, 1, classes))
        images = bank.features[jnp.arange(classes), uniform_index(key, counts)]
        texts = jnp.repeat(vectors[:, None], SAMPLES, axis=1)
        each_class = jax.vmap(classify, in_axes=(0, None, 0, None))
        ce, _ = each_class(texts, images, label, scale)
        return ce.mean(axis=1).sum(), ce.mean()

    return adamw(loss, start, updates, seed)


@functools.partial(jax.jit, static_argnames=("scale", "updates", "photos"))
def train_jointly(bank: Bank, start, scale, updates, photos=0, seed=0):
    """The same by the joint term: every image of the bank is asked for its vector."""
    own = jnp.arange(len(start))

    def loss(vectors, key):
        draws = draw_joint(key, own, bank, photos=photos, templates=1)
        images = bank.features[own[:, None], draws.photo]
        error, _ = classify_images(images, unit(vectors), own, scale, 0 * own)
        ce = (draws.share * error).sum(axis=1)
        return ce.sum(), ce.mean()

    return adamw(loss, start, updates, seed)


def adamw(loss, start, updates, seed):
    """Trains the vectors; returns them at unit length, and the mean CE of each update."""
    optimizer = optax.adamw(2e-3, weight_decay=1e-2)

    def update(state, key):
        vectors, moments = state
        gradient, ce = jax.grad(loss, has_aux=True)(vectors, key)
        change, moments = optimizer.update(gradient, moments, vectors)
        return (optax.apply_updates(vectors, change), moments), ce

    keys = jax.random.split(jax.random.key(seed), updates)
    (vectors, _), ce = jax.lax.scan(update, (start, optimizer.init(start)), keys)
    return unit(vectors), ce
