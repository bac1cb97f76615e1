"""CoOp and CoCoOp: learned context words in front of the class name.

Written from the papers (arXiv 2109.01134, 2203.05557). CoCoOp shifts the context by a small
network of the image, so the text tower runs once per image and class; AAPE's projection is
what avoids that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int, PyTree

from aape_jax.core.losses import classification
from aape_jax.core.unit import unit
from common.clip import CLIP, TextTower, pool_positions
from common.names import readable
from common.protocols.fitting import fit
from common.seeds import random_key

CONTEXT = "a photo of a"
META_REDUCTION = 16
SCALE = 100.0


@dataclass(frozen=True, eq=False)
class ContextPrompts:
    """Prompts "CONTEXT NAME." whose context is to be learned.

    Attributes:
      embedded: Token embeddings of the whole prompts, `[k s d]`.
      pool_at: Where each is pooled, `[k]`.
      start: Embeddings of the context words, `[n d]`.
    """

    embedded: Float[np.ndarray, "k s d"]
    pool_at: Int[np.ndarray, "k"]
    start: Float[np.ndarray, "n d"]


def context_prompts(clip: CLIP, classnames: Sequence[str]) -> ContextPrompts:
    """Prepare the prompts of some classes; padding that the tower does not see is cut off."""
    config, tokenizer = clip.text_tower.config, clip.tokenizer
    ids = tokenizer.encode_all([f"{CONTEXT} {readable(name)}." for name in classnames])
    longest = max(map(len, ids)) + tokenizer.specials
    packed = tokenizer.pack(ids, longest if config.causal else None, truncate=True)
    table = np.asarray(clip.params["text"]["token_embedding"], np.float32)
    words = clip.tokenizer.encode(CONTEXT)
    return ContextPrompts(
        embedded=table[packed],
        pool_at=np.asarray(pool_positions(jnp.asarray(packed), config.pool, config.eos)),
        start=table[words],
    )


def context_class_features(
    tower: TextTower, params: PyTree, prompts: PyTree, context: Float[Array, "n d"]
) -> Float[Array, "k p"]:
    """Return unit-length class features under a context."""
    embedded, pool_at = prompts
    context = jnp.broadcast_to(context, (len(embedded), *context.shape)).astype(embedded.dtype)
    embedded = lax.dynamic_update_slice(embedded, context, (0, tower.config.first, 0))
    projected = tower.apply({"params": params}, embedded, pool_at).projected
    return unit(projected.astype(jnp.float32))


@dataclass(frozen=True)
class CoOp:
    """One context for all images, trained in as many steps as the run's own heads."""

    tower: TextTower
    batch: ClassVar[int] = 0
    epochs: ClassVar[int] = 0

    def init(self, key: Array, start: Float[Array, "n d"], width: int) -> PyTree:
        """Start the context at its words."""
        del key, width
        return {"context": start}

    def logits(
        self, params: PyTree, text: PyTree, prompts: PyTree, x: Float[Array, "b p"]
    ) -> Float[Array, "b k"]:
        """Return the logits of images over the prompts' classes."""
        return SCALE * x @ context_class_features(self.tower, text, prompts, params["context"]).T


@dataclass(frozen=True)
class CoCoOp:
    """The context plus a shift that a two-layer network makes of each image.

    Its authors train it for ten epochs of one image at a time, for it needs much memory.
    """

    tower: TextTower
    batch: ClassVar[int] = 1
    epochs: ClassVar[int] = 10

    def init(self, key: Array, start: Float[Array, "n d"], width: int) -> PyTree:
        """Start a network with biases and a sixteenth of the joint width between its layers."""
        down, up = jax.random.split(key)
        hidden, words = max(1, width // META_REDUCTION), start.shape[1]
        glorot = jax.nn.initializers.glorot_uniform()
        return {
            "context": start,
            "down": glorot(down, (width, hidden)),
            "down_bias": jnp.zeros(hidden),
            "up": glorot(up, (hidden, words)),
            "up_bias": jnp.zeros(words),
        }

    def logits(
        self, params: PyTree, text: PyTree, prompts: PyTree, x: Float[Array, "b p"]
    ) -> Float[Array, "b k"]:
        """Return logits, with a pass of the text tower per image, one after the other."""
        hidden = jax.nn.relu(x @ params["down"] + params["down_bias"])
        shifts = hidden @ params["up"] + params["up_bias"]

        @jax.checkpoint
        def one_image(pair: tuple[Array, Array]) -> Array:
            image, shift = pair
            classes = context_class_features(self.tower, text, prompts, params["context"] + shift)
            return SCALE * classes @ image

        return lax.map(one_image, (x, shifts))


LEARNERS: dict[str, type[CoOp] | type[CoCoOp]] = {"coop": CoOp, "cocoop": CoCoOp}


def train_context(
    learner: CoOp | CoCoOp,
    clip: CLIP,
    classnames: Sequence[str],
    x: Float[np.ndarray, "b p"],
    labels: Int[np.ndarray, "b"],
    batches: Int[np.ndarray, "s n"],
    optimizer: optax.GradientTransformation,
    seed: int,
) -> Callable[[np.ndarray, Sequence[str]], np.ndarray]:
    """Train a context; return a function from features and class names to classes."""
    prompts = context_prompts(clip, classnames)
    text = jax.device_put(clip.params["text"])
    start = learner.init(random_key(seed), jnp.asarray(prompts.start), x.shape[1])
    frozen = {
        "text": text,
        "prompts": (jnp.asarray(prompts.embedded), jnp.asarray(prompts.pool_at)),
        "x": jnp.asarray(x),
        "labels": jnp.asarray(labels),
    }

    def loss(params: PyTree, frozen: PyTree, rows: Array) -> Array:
        logits = learner.logits(params, frozen["text"], frozen["prompts"], frozen["x"][rows])
        return classification(logits, frozen["labels"][rows])

    params = fit(loss, start, frozen, batches, optimizer, type(learner).__name__)
    logits = jax.jit(learner.logits)

    def predict(x: np.ndarray, classnames: Sequence[str]) -> np.ndarray:
        prompts = context_prompts(clip, classnames)
        scores = logits(params, text, (prompts.embedded, prompts.pool_at), jnp.asarray(x))
        return np.asarray(scores).argmax(axis=1)

    return predict
