"""The problem that `benchmarks.aape_step` measures: random networks, and three training steps.

(a) is a direct port of the paper, (b) this implementation, (c) CoCoOp's own step.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from aape_jax.classification.baselines.context import CoCoOp
from aape_jax.core.logits import direct_cosines
from aape_jax.core.losses import classification
from aape_jax.core.objective import Batch, Objective, PromptedImages
from aape_jax.core.unit import unit
from common.clip import TextConfig, TextTower, ViT, ViTConfig
from common.clip.known import KNOWN
from common.data.coop_sets import MODEL
from configs.aape import get_config


@dataclass(frozen=True)
class Towers:
    """Sizes of CLIP; ViT-B/16's are the paper's."""

    text: TextConfig
    image: ViTConfig
    prompts: int = 20  # of a class
    length: int = 20  # tokens of a prompt


SIZES = {
    "vit-b-16": Towers(KNOWN[MODEL].text, KNOWN[MODEL].vision),
    "small": Towers(
        TextConfig(200, 32, 1, 2, 64, projection=32, bos=198, eos=199, pad=199),
        ViTConfig(16, 8, 32, 1, 2, 64, 32),
        prompts=3,
        length=6,
    ),
}


def random_params(module: Any, *inputs: Any) -> PyTree:
    """Return the parameters of a tower."""
    return jax.jit(module.init)(jax.random.key(0), *inputs)["params"]


class Problem:
    """Random frozen networks, pictures and prompts of one size, and the three steps."""

    def __init__(self, towers: Towers, classes: int, batch: int):
        self.towers, self.text, self.image = towers, TextTower(towers.text), ViT(towers.image)
        rng = np.random.default_rng(0)
        width, side = towers.text.width, towers.image.image_size
        ids = rng.integers(0, towers.text.bos, (classes, towers.prompts, towers.length))
        ids[..., -1] = towers.text.eos
        sequence = jnp.zeros((1, towers.length, width))
        self.params = {
            "text": random_params(self.text, sequence, jnp.zeros(1, int)),
            "image": random_params(self.image, jnp.zeros((1, side, side, 3))),
        }
        self.ids = jnp.asarray(ids)
        self.pixels = jnp.asarray(rng.standard_normal((batch, side, side, 3)), jnp.float32)
        self.labels = jnp.asarray(rng.integers(0, classes, batch))
        joint = towers.text.projection
        self.w = unit(jnp.asarray(rng.standard_normal((classes, joint)), jnp.float32))
        config = get_config("preset=projection")
        self.objective = Objective.from_config(config)
        self.config = config
        start = self.objective.init(jax.random.key(0), joint, classes, batch)
        noise = iter(jax.random.split(jax.random.key(1), 99))
        self.start = jax.tree.map(
            lambda leaf: leaf + 0.02 * jax.random.normal(next(noise), leaf.shape), start
        )

    def encode_prompts(self, params: PyTree, ids: jax.Array) -> jax.Array:
        """Return unit-length features of prompts `[b n s]`."""
        flat = ids.reshape(-1, ids.shape[-1])
        embedded = self.text.apply({"params": params}, flat, method="embed")
        at = jnp.full(len(flat), ids.shape[-1] - 1)
        features = self.text.apply({"params": params}, embedded, at).projected
        return unit(features).reshape(*ids.shape[:2], -1)

    def encode_images(self, params: PyTree, pixels: jax.Array) -> jax.Array:
        """Return unit-length features of pictures."""
        return unit(self.image.apply({"params": params}, pixels).features)

    def direct(self) -> tuple[Callable, PyTree, PyTree]:
        """Return step (a): its loss, its trainable parameters, and its other inputs."""
        objective = self.objective
        head = objective.head

        def loss(params: PyTree, frozen: PyTree) -> jax.Array:
            clip, labels, w = frozen["clip"], frozen["labels"], frozen["w"]
            x = self.encode_images(clip["image"], frozen["pixels"])
            prompts = self.encode_prompts(clip["text"], frozen["ids"][labels])
            h = head.generator(params["head"]["generator"], x)
            scores = direct_cosines(head.projection, params["head"]["projection"], w, x, h)
            mask = jnp.ones(prompts.shape[:2], bool)
            images = PromptedImages(x, prompts, mask, jnp.arange(len(x)), labels)
            taught, _ = objective.teach(params, images, h, jax.random.key(0))
            return classification(scores / head.tau, labels) + taught

        frozen = {
            "clip": self.params,
            "labels": self.labels,
            "w": self.w,
            "pixels": self.pixels,
            "ids": self.ids,
        }
        return loss, self.start, frozen

    @functools.cached_property
    def images(self) -> jax.Array:
        """Image features as the cache holds them."""
        return jax.jit(self.encode_images)(self.params["image"], self.pixels)

    def ours(self) -> tuple[Callable, PyTree, PyTree]:
        """Return step (b), as `direct` does for (a)."""
        # Only the batch's own classes are encoded here; the step reads the whole bank.
        used = np.unique(np.asarray(self.labels))
        known = jax.jit(self.encode_prompts)(self.params["text"], self.ids[used])
        joint = known.shape[-1]
        prompts = jnp.zeros((*self.ids.shape[:2], joint)).at[used].set(known)
        rows = jnp.arange(len(self.labels))
        mask = jnp.ones(prompts.shape[:2], bool)
        batch = Batch(self.images, self.labels, rows, self.w, prompts, mask)

        def loss(params: PyTree, batch: Batch) -> jax.Array:
            return self.objective(params, batch, jax.random.key(0))[0]

        return loss, self.start, batch

    def cocoop(self) -> tuple[Callable, PyTree, PyTree]:
        """Return step (c), as `direct` does for (a); its text pass is over images times classes."""
        learner = CoCoOp(self.text.clone(remat=True))
        embedded = self.params["text"]["token_embedding"][self.ids[:, 0]]
        at = jnp.full(len(embedded), self.towers.length - 1)
        joint = self.towers.text.projection
        start = learner.init(jax.random.key(0), embedded[0, 1:5], joint)
        frozen = {
            "text": self.params["text"],
            "prompts": (embedded, at),
            "x": self.images,
            "labels": self.labels,
        }

        def loss(params: PyTree, frozen: PyTree) -> jax.Array:
            logits = learner.logits(params, frozen["text"], frozen["prompts"], frozen["x"])
            return classification(logits, frozen["labels"])

        return loss, start, frozen

    def steps(self, names: Sequence[str]) -> dict[str, tuple[Callable, PyTree, PyTree]]:
        """Return the chosen steps by name."""
        makers = {"a": self.direct, "b": self.ours, "c": self.cocoop}
        return {name: makers[name]() for name in names}
