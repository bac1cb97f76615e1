"""A random MC-TI problem for the benchmark: networks, pictures, features and prompts.

Everything is a numpy array in float32, so that each framework can train on the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from benchmarks.mcti_sizes import SIZES
from common.clip.hugging_face import text_from_json
from common.clip.text import TextTower
from common.data.few_shot import class_rows
from common.diffusion import AutoencoderKL, Modules, NoiseSchedule, UNet, UNetConfig, VAEConfig
from configs import mcti
from mcti_jax.prompts import Prompts

SHOTS = 2  # photos per class; how many there are hardly matters to the time of a step
TEMPLATES = 27
SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


@dataclass(frozen=True)
class Problem:
    """What all steps train on.

    Attributes:
      config: The settings of the method.
      steps_per_call: Updates in one call of our program.
      modules: Our networks, in float32.
      params: Their weights, and the projection of the class feature.
      prompts: Random words around the slot.
      labels: Class of each photo, `[b]`.
      pixels: Photos, then their mirrors, in [-1, 1], `[2 b H W 3]`.
      features: Of the same, any length, `[2 b p]`.
    """

    config: ConfigDict
    steps_per_call: int
    modules: Modules
    params: dict[str, Any]
    prompts: Prompts
    labels: np.ndarray
    pixels: np.ndarray
    features: np.ndarray

    @property
    def classes(self) -> int:
        """K."""
        return int(self.labels[-1]) + 1

    @property
    def start(self) -> np.ndarray:
        """What every token begins from: the embedding of some word, `[1 d]`."""
        return self.params["text"]["token_embedding"][7:8]

    def by_class(self, pooled: np.ndarray) -> np.ndarray:
        """Group photos and mirrors `[2 b ...]` by class: `[k e ...]`."""
        rows = class_rows(np.concatenate([self.labels, self.labels]), self.classes).rows
        return pooled.reshape(-1, *pooled.shape[2:])[rows]


def make_problem(size: str, classes: int, chunk: int | None = None, seed: int = 0) -> Problem:
    """Draw a problem.

    Args:
      size: A key of `SIZES`.
      classes: K.
      chunk: Overrides the size's `classes_per_chunk`.
      seed: Of all that is random.
    """
    rng = np.random.default_rng(seed)
    shapes = SIZES[size]
    # This legacy id is what makes the reference pool at the placeholder.
    text = text_from_json({**shapes.text, "eos_token_id": 2})
    modules = Modules(
        UNet(UNetConfig.from_dict(shapes.unet)),
        AutoencoderKL(VAEConfig.from_dict(shapes.vae)),
        TextTower(text),
        NoiseSchedule.from_dict(SCHEDULE),
    )
    side = modules.unet.config.sample_size * modules.vae.config.downsampling
    latents = jnp.zeros((1, *latent_shape(modules.unet)))
    states, at = jnp.zeros((1, text.positions, text.width)), jnp.zeros(1, int)
    draw = Repeating(rng) if shapes.repeating else normal
    params = {
        "text": random_params(rng, modules.text_tower, states, at, draw=draw),
        "unet": random_params(rng, modules.unet, latents, at, states, draw=draw),
        "vae": random_params(rng, modules.vae, jnp.zeros((1, side, side, 3)), draw=draw),
        "projection": normal(rng, text.width, text.width) / np.float32(text.width**0.5),
    }
    config = mcti.defaults()
    config.compare_ti = False
    config.classification = "paper"  # the term that the reference's step has
    config.classes_per_chunk = shapes.classes_per_chunk if chunk is None else chunk
    labels = np.repeat(np.arange(classes), SHOTS)
    photos = rng.uniform(-1, 1, (labels.size, side, side, 3)).astype(np.float32)
    return Problem(
        config,
        shapes.steps_per_call,
        modules,
        params,
        random_prompts(rng, text.vocab_size, text.positions),
        labels,
        pixels=np.stack([photos, photos[:, :, ::-1]]),
        features=18 * normal(rng, 2, labels.size, text.width) / np.float32(text.width**0.5),
    )


def latent_shape(unet: UNet) -> tuple[int, int, int]:
    """Return height, width and channels of one picture's latents."""
    return unet.config.sample_size, unet.config.sample_size, unet.config.in_channels


def random_params(
    rng: np.random.Generator,
    module: nn.Module,
    *inputs: Any,
    draw: Callable[..., np.ndarray] | None = None,
) -> dict[str, Any]:
    """Return weights of usual size; zeros and ones are disturbed, so that each one matters.

    Args:
      rng: Where they come from.
      module: Whose weights.
      *inputs: What it is called with.
      draw: `draw(rng, *shape)` returns standard normal numbers; `normal` by default.
    """
    draw = draw or normal

    def leaf(path: tuple, shape: jax.ShapeDtypeStruct) -> np.ndarray:
        noise, name = draw(rng, *shape.shape), path[-1].key
        if name == "kernel":
            return noise / np.float32(np.prod(shape.shape[:-1]) ** 0.5)
        return {"scale": 1 + 0.1 * noise, "bias": 0.1 * noise}.get(name, 0.5 * noise)

    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    return jax.tree_util.tree_map_with_path(leaf, shapes)


def random_prompts(rng: np.random.Generator, vocabulary: int, length: int) -> Prompts:
    """Draw random words with slots where the 27 published templates have theirs."""
    start, end = vocabulary - 2, vocabulary - 1
    slot = np.repeat([5, 6, 8], [8, 17, 2])
    ids = np.full((TEMPLATES, length), end)
    for row, at in zip(ids, slot, strict=True):
        row[:at] = rng.integers(0, start, at)
        row[0], row[at] = start, vocabulary
    return Prompts(ids, slot, slot + 1, vectors=1)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw standard normal numbers in float32."""
    return rng.standard_normal(shape, dtype=np.float32)


class Repeating:
    """Standard normal numbers that repeat: a billion fresh ones take longer than a benchmark."""

    def __init__(self, rng: np.random.Generator):
        self.numbers = normal(rng, 2**22)

    def __call__(self, rng: np.random.Generator, *shape: int) -> np.ndarray:
        """Return numbers of a shape, from a random place on."""
        place = int(rng.integers(len(self.numbers)))
        return np.resize(np.roll(self.numbers, -place), shape)
