"""The PyTorch oracle beside our own objective: same weights, same photos, same draws."""

import functools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import torch

from mcti_jax.draws import Draws
from mcti_jax.prompts import Prompts
from tests.mcti import oracle, plain
from tests.mcti.problem import Problem, assemble, losses, random_photos
from tests.mcti.tiny import NumberTokenizer, settings

ALPHA, GAMMA, SCALE, SAMPLES = 0.8, 0.6, 10.0, 4
# Prompts as long as the 27 real ones: 4, 5 or 7 words in front of the slot.
WORDS = np.random.default_rng(0).integers(0, 1000, (27, 7)).astype(str)
LENGTHS = [4] * 8 + [5] * 17 + [7] * 2
TEMPLATES = [" ".join([*words[:n], "{}"]) for words, n in zip(WORDS, LENGTHS, strict=True)]
LABELS = np.repeat(np.arange(3), (2, 1, 3))


@dataclass(frozen=True)
class Pair:
    """Their networks, ours, and the photos that both learn from."""

    oracle: oracle.Oracle
    problem: Problem

    def samples(self, draws, label):
        return list(plain.samples_of(self.problem, draws, label))

    def table(self, vectors):
        """Their token table with the class's vectors in its last row."""
        table = self.oracle.table.clone()
        table[-1] = torch.from_numpy(vectors[0].copy())
        return table

    def micro_steps(self, table, draws, label):
        step = functools.partial(
            self.oracle.micro_step, alpha=ALPHA, gamma=GAMMA, logit_scale=SCALE
        )
        return [step(table, sample) for sample in self.samples(draws, label)]


@functools.cache
def make_pair():
    """The oracle, and ours with the same weights."""
    theirs = oracle.Oracle()
    config = settings(alpha=ALPHA, gamma=GAMMA, logit_scale=SCALE)
    rng = np.random.default_rng(1)
    photos = random_photos(LABELS, (16, 16, 4))
    features = 3 * rng.standard_normal((2, len(LABELS), oracle.FEATURES))
    photos = replace(photos, features=features.astype(np.float32))
    prompts = Prompts.from_templates(NumberTokenizer(), TEMPLATES)
    ours = assemble(config, oracle.networks(), theirs.params(), prompts, photos)
    return Pair(theirs, ours)


def draw(pair, seed=0):
    """Every random choice of one update, by NumPy."""
    rng = np.random.default_rng(seed)
    frozen, shape = pair.problem.frozen, (3, SAMPLES)
    noise, posterior = rng.standard_normal((2, *shape, 16, 16, 4)).astype(np.float32)
    counts = frozen["bank"].counts
    draws = Draws(
        entry=rng.integers(0, frozen["rows"].entries[:, None], shape),
        posterior=posterior,
        noise=noise,
        timestep=rng.integers(0, 1000, shape),
        template=rng.integers(0, 27, shape),
        feature=rng.integers(0, counts, (*shape, 1, 3)),
    )
    return jax.tree.map(jnp.asarray, draws)


def ours(pair, tokens, draws, rows=slice(None), networks=None):
    """Our losses of some rows; the gradient of each is its own."""
    frozen = jax.tree.map(jnp.asarray, dict(pair.problem.frozen))
    frozen.pop("start")
    own, draws, tokens = jax.tree.map(
        lambda x: x[rows], (frozen.pop("rows"), draws, jnp.asarray(tokens))
    )
    networks = networks or pair.problem.objective.networks
    return losses(networks, tokens, frozen, own, draws, SCALE)


def close(actual, desired, tolerance=1e-5):
    """Compares with the largest number as the measure."""
    desired = np.asarray(desired)
    assert np.shape(actual) == desired.shape
    assert np.abs(actual - desired).max() < tolerance * np.abs(desired).max()


def same_direction(actual, desired, cosine=1 - 1e-6):
    """Compares by the cosine."""
    actual, desired = np.ravel(actual), np.ravel(desired)
    assert actual @ desired > cosine * np.linalg.norm(actual) * np.linalg.norm(desired)
