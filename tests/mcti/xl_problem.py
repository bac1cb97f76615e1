"""The objective on a tiny Stable Diffusion XL, with every number known."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from common.diffusion import AutoencoderKL
from mcti_jax.assembly import Additions, frozen_tree
from mcti_jax.draws import Draws
from mcti_jax.layout import RowLayout
from mcti_jax.material import EncodedPhotos
from mcti_jax.networks import make_networks
from mcti_jax.objective import Objective
from tests.mcti.problem import losses
from tests.mcti.tiny import settings
from tests.mcti.tiny_xl import LATENT, WIDTHS, TinyXL, random_pixels

LABELS = np.repeat(np.arange(3), (2, 1, 3))
SAMPLES, VECTORS = 2, 2


@dataclass(frozen=True)
class XLProblem:
    """An objective, what it reads, and where its tokens stand."""

    objective: Objective
    frozen: dict
    pixels: np.ndarray
    features: np.ndarray
    tokens: np.ndarray

    def draws(self, seed=0):
        """Every random choice of one update, by NumPy."""
        rng = np.random.default_rng(seed)
        shape = (3, SAMPLES)
        noise, posterior = rng.standard_normal((2, *shape, LATENT, LATENT, 4)).astype(np.float32)
        draws = Draws(
            entry=rng.integers(0, self.frozen["rows"].entries[:, None], shape),
            posterior=posterior,
            noise=noise,
            timestep=rng.integers(0, 1000, shape),
            template=rng.integers(0, 27, shape),
            feature=rng.integers(0, self.frozen["bank"].counts, (*shape, 1, 3)),
        )
        return jax.tree.map(jnp.asarray, draws)

    def differentiate(self, tokens, draws):
        """The losses of the rows, their parts, and the gradient."""
        frozen = jax.tree.map(jnp.asarray, dict(self.frozen))
        frozen.pop("start")
        rows, config = frozen.pop("rows"), self.objective.config
        return losses(self.objective.networks, tokens, frozen, rows, draws, config.logit_scale)


@functools.partial(jax.jit, static_argnums=0)
def encode(vae, params, pixels):
    return vae.apply({"params": params}, pixels, method=AutoencoderKL.encode)


def xl_problem(tiny: TinyXL, number: int = 1, **changes) -> XLProblem:
    """Random photos under the tiny model.

    Args:
      tiny: The model.
      number: Of the text encoder whose CLIP there is.
      changes: Of the configuration.
    """
    config = settings(**{"samples": SAMPLES, "vectors": VECTORS, "init_word": "thing"} | changes)
    sd, clip = tiny.sd, tiny.clips[number]
    layout = RowLayout.of(config, 3, 1)
    objective = Objective(make_networks(config, sd, clip), layout, config)
    pixels = random_pixels(len(LABELS))
    moments = encode(sd.vae, sd.params["vae"], pixels)
    rng = np.random.default_rng(3)
    features = rng.standard_normal((2, len(LABELS), WIDTHS[number])).astype(np.float32)
    mean, logvar = (
        np.asarray(x).reshape(2, len(LABELS), *x.shape[1:]) for x in (moments.mean, moments.logvar)
    )
    encoded = EncodedPhotos(mean, logvar, features)
    frozen = frozen_tree(objective, sd, clip, LABELS, encoded, Additions())
    noise = rng.normal(0, 0.1, (3, VECTORS, sum(WIDTHS)))
    tokens = (frozen["start"] + noise).astype(np.float32)
    return XLProblem(objective, frozen, pixels, features, tokens)
