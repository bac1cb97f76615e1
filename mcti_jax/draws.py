"""Every random choice of one update, drawn in one place so that tests can supply them."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key


@flax.struct.dataclass
class Draws:
    """The random choices of the m samples of each row in one update (spec: paper section 3).

    Attributes:
      entry: Which cached picture (originals and mirrors pooled), `[r m]`.
      posterior: Noise of the VAE posterior, `[r m h w c]`.
      noise: The noise that the U-Net has to find, `[r m h w c]`.
      timestep: `[r m]`, uniform over the schedule.
      template: Which prompt, `[r m]`.
      feature: Which image feature stands for each class, `[r m f k]`, f draws a sample.
    """

    entry: Any
    posterior: Any
    noise: Any
    timestep: Any
    template: Any
    feature: Any


def uniform_index(key: Key[Array, ""], count: Int[Array, "*shape"]) -> Int[Array, "*shape"]:
    """Return independent uniform integers in `[0, count)`, for ragged counts up to 2^24.

    The product stays below such a count: the largest float32 below 1 takes at least half a unit of
    its last place away.
    """
    return (jax.random.uniform(key, count.shape) * count).astype(jnp.int32)


def draw(
    key: Key[Array, ""],
    label: Int[Array, "r"],
    entries: Int[Array, "r"],
    features: Int[Array, "k"],
    *,
    samples: int,
    feature_draws: int,
    latent: tuple[int, int, int],
    timesteps: int,
    templates: int,
    shared_features: bool,
) -> Draws:
    """Draw one update for the given rows.

    A row's draws depend on `key` and its label only, so that neither chunking nor sharding
    changes a result.

    Args:
      key: The update's key.
      label: Class of each row.
      entries: How many cached pictures each row has.
      features: How many image features each class has.
      samples: m.
      feature_draws: f.
      latent: Shape of one latent, `(h, w, c)`.
      timesteps: Length of the noise schedule.
      templates: Number of prompts.
      shared_features: One draw of the K features for all rows of an update. Each row sees the
        same marginal law, and nothing in the loss couples rows, so this is exact.
    """
    rows_key, shared_key = jax.random.split(key)

    def row(label: Array, count: Array) -> Draws:
        keys = jax.random.split(jax.random.fold_in(rows_key, label), 6)
        feature_key = shared_key if shared_features else keys[5]
        counts = jnp.broadcast_to(features, (samples, feature_draws, *features.shape))
        return Draws(
            entry=uniform_index(keys[0], jnp.broadcast_to(count, (samples,))),
            posterior=jax.random.normal(keys[1], (samples, *latent)),
            noise=jax.random.normal(keys[2], (samples, *latent)),
            timestep=jax.random.randint(keys[3], (samples,), 0, timesteps),
            template=jax.random.randint(keys[4], (samples,), 0, templates),
            feature=uniform_index(feature_key, counts),
        )

    return jax.vmap(row)(label, entries)
