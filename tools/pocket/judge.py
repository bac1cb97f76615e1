"""A small classifier that says what a picture shows, trained on the renderer's own labels.

It measures pictures that a Stable Diffusion draws. CLIP cannot judge them fairly: the same text
tower has guided the drawing.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from common.errors import UserError
from common.nesting import nest
from common.pocket.renderer import SIZE, render
from common.pocket.world import (
    BACKGROUNDS,
    COLOURS,
    FILLS,
    LOOKS,
    SHAPES,
    Scene,
    Species,
    sample_scene,
)
from common.text import shown
from common.weights.files import read_tensors
from tools.pocket.fitting import NO_LIMIT, Allowance, fit, in_batches
from tools.pocket.recipe import Fit
from tools.pocket.train_clip import mirror_some
from tools.pocket.train_vae import centred

ASPECTS: Mapping[str, Sequence[str]] = {
    "shape": SHAPES,
    "fill": FILLS,
    "body": COLOURS,
    "mark": COLOURS,
    "ground": BACKGROUNDS,
}
"""What is judged, and the answers to choose from."""

_PICTURES = 30_000
_BLUR, _NOISE = 0.5, 0.05


class Judge(nn.Module):
    """Four convolutions and a linear map for each aspect."""

    @nn.compact
    def __call__(self, pixels: Float[Array, "b h w 3"]) -> dict[str, Float[Array, "b n"]]:
        """Return the logits of each aspect's answers, for pixels in [-1, 1]."""
        x = pixels
        for width, stride in ((32, 1), (64, 2), (96, 2), (128, 2)):
            x = nn.Conv(width, (3, 3), (stride, stride))(x)
            x = nn.relu(nn.GroupNorm(8)(x))
        x = nn.relu(nn.Dense(128)(x.reshape(len(x), -1)))
        return {name: nn.Dense(len(answers))(x) for name, answers in ASPECTS.items()}


def labels_of(scenes: Sequence[Scene]) -> dict[str, Int[np.ndarray, " n"]]:
    """Return the index of each aspect's answer."""
    facts = [(*vars(scene.species.look).values(), scene.background) for scene in scenes]
    return {
        name: np.array([answers.index(fact[n]) for fact in facts])
        for n, (name, answers) in enumerate(ASPECTS.items())
    }


def train_judge(plan: Fit, seed: int, allowance: Allowance = NO_LIMIT) -> dict[str, Any]:
    """Train on single photos of all looks, seen and unseen, some blurred and noisy."""
    generator = np.random.default_rng((seed, 7))
    order = generator.integers(len(LOOKS), size=_PICTURES)
    scenes = [sample_scene(Species("", LOOKS[look]), generator) for look in order]
    scenes = [scene for scene in scenes if scene.arrangement == "single"]
    data = {"pixels": render(scenes), **labels_of(scenes)}
    judge = Judge()
    init_key, key = jax.random.split(jax.random.key(seed))
    params = judge.init(init_key, jnp.zeros((1, SIZE, SIZE, 3)))["params"]

    def loss(params: Any, batch: dict[str, Array], key: Key[Array, ""]) -> Array:
        logits = judge.apply({"params": params}, _disturbed(centred(batch["pixels"]), key))
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        return sum(cross_entropy(logits[name], batch[name]).mean() for name in ASPECTS)

    return fit("judge", loss, params, data, plan, key, allowance)


def read_judge(file: str) -> dict[str, Any]:
    """Read the parameters that a training has left in its work folder.

    Raises:
      UserError: There is no such file, or it holds something else.
    """
    params = nest(read_tensors(Path(file)))
    wanted = jax.eval_shape(Judge().init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    if jax.tree.map(jnp.shape, params) != jax.tree.map(jnp.shape, wanted["params"]):
        raise UserError(f"{shown(file)} does not hold a judge: give WORK/judge.safetensors.")
    return params


def judged(params: Any, pixels: UInt8[np.ndarray, "b h w 3"]) -> dict[str, Int[np.ndarray, " b"]]:
    """Return the index of the most likely answer for each aspect of each picture."""

    @jax.jit
    def answer(params: Any, part: Array) -> dict[str, Array]:
        logits = Judge().apply({"params": params}, centred(part))
        return {name: jnp.argmax(values, axis=-1) for name, values in logits.items()}

    return in_batches(partial(answer, params), pixels)


def agreement(
    params: Any, pixels: UInt8[np.ndarray, "b h w 3"], scenes: Sequence[Scene], *names: str
) -> dict[str, float]:
    """Return the share of pictures that show what the scenes say, for some aspects or all."""
    answers, labels = judged(params, pixels), labels_of(scenes)
    return {name: float(np.mean(answers[name] == labels[name])) for name in names or ASPECTS}


def _disturbed(pixels: Float[Array, "b h w 3"], key: Key[Array, ""]) -> Float[Array, "b h w 3"]:
    """Blur half of the pictures and add noise to all, as drawn ones are never quite sharp."""
    flag_key, mirror_key, noise_key = jax.random.split(key, 3)
    padded = jnp.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    blurred = nn.avg_pool(padded, (3, 3))
    flags = jax.random.bernoulli(flag_key, _BLUR, (len(pixels), 1, 1, 1))
    pixels = jnp.where(flags, blurred, pixels)
    pixels = mirror_some(pixels, mirror_key)
    return pixels + _NOISE * jax.random.normal(noise_key, pixels.shape)
