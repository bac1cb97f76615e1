"""The pretraining corpus: scenes of the seen part of the world, each with a caption."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from common.pocket.renderer import SIZE, covered, render
from common.pocket.world import ANONYMOUS, NAMED, RARE, SECOND, Scene, Species, sample_scene
from tools.pocket.wording import training_caption

RARE_SHARE = 0.004
"""Of the corpus, what the classes of `pocket:rare` and `pocket:second` make up.

A CLIP that meets each of them a few dozen times tells them apart better by a description than by
their names, as a published one does with flowers; with more, nothing is left to learn there.
"""

SHIFT_SHARE = 0.008
"""Of the corpus, sketches, and as many neon signs: so few that these styles stay a shift."""

_GROUPS = ((NAMED, 0.58), (ANONYMOUS, 0.42 - RARE_SHARE), (RARE + SECOND, RARE_SHARE))
_STYLES = {
    "photo": 0.73 - 2 * SHIFT_SHARE,
    "painting": 0.09,
    "pixel": 0.09,
    "night": 0.09,
    "sketch": SHIFT_SHARE,
    "neon": SHIFT_SHARE,
}
_RENDERED_AT_ONCE = 500

LATENT_PIXELS = 4
"""Pixels along each side of what one latent of the VAE stands for."""


@dataclass(frozen=True)
class Corpus:
    """Captioned pictures; scene i belongs to caption i."""

    scenes: tuple[Scene, ...]
    captions: tuple[str, ...]

    @cached_property
    def pictures(self) -> UInt8[np.ndarray, "b h w 3"]:
        """All pictures, drawn once on all cores."""
        return self._on_all_cores(render)

    @cached_property
    def figures(self) -> Bool[np.ndarray, "b h4 w4"]:
        """Which latents of each picture see something of an object."""
        return self._on_all_cores(_touched)

    def _on_all_cores(self, draw: Callable[[Sequence[Scene]], np.ndarray]) -> np.ndarray:
        starts = range(0, len(self.scenes), _RENDERED_AT_ONCE)
        parts = [self.scenes[start : start + _RENDERED_AT_ONCE] for start in starts]
        # Processes that are not forked: this one has the threads of JAX.
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            return np.concatenate(list(pool.map(draw, parts)))


def _touched(scenes: Sequence[Scene]) -> Bool[np.ndarray, "b h4 w4"]:
    side = SIZE // LATENT_PIXELS
    blocks = covered(scenes).reshape(-1, side, LATENT_PIXELS, side, LATENT_PIXELS)
    return blocks.max((2, 4)) > 0


def sample_corpus(count: int, seed: int) -> Corpus:
    """Draw `count` captioned scenes; of one seed, a longer corpus begins with a shorter one."""
    scenes, captions = [], []
    for index in range(count):
        generator = np.random.default_rng((seed, index))
        scene = sample_scene(_draw_species(generator), generator, _draw_style(generator))
        scenes.append(scene)
        captions.append(training_caption(scene, generator))
    return Corpus(tuple(scenes), tuple(captions))


def _draw_species(generator: np.random.Generator) -> Species:
    groups, shares = zip(*_GROUPS, strict=True)
    species = _draw(groups, shares, generator)
    return species[int(generator.integers(len(species)))]


def _draw_style(generator: np.random.Generator) -> str:
    return _draw(tuple(_STYLES), tuple(_STYLES.values()), generator)


def _draw(values: Sequence, shares: Sequence[float], generator: np.random.Generator) -> Any:
    """Draw a value by shares that sum to one."""
    edges = np.cumsum(shares)[:-1]
    return values[int(np.searchsorted(edges, generator.random(), side="right"))]
