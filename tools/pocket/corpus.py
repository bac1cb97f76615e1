"""The pretraining corpus: scenes of the seen part of the world, each with a caption."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from common.pocket.captions import web_caption
from common.pocket.renderer import render
from common.pocket.world import (
    ANONYMOUS,
    NAMED,
    RARE,
    SECOND,
    SEEN_STYLES,
    Scene,
    Species,
    sample_scene,
)

# Shares of the corpus. A rare species is shown about a fifth as often as a named one.
_GROUPS = ((NAMED, 0.58), (ANONYMOUS, 0.41), (RARE + SECOND, 0.01))
_PHOTO_SHARE = 0.7


@dataclass(frozen=True)
class Corpus:
    """Captioned pictures; scene i belongs to caption i."""

    scenes: tuple[Scene, ...]
    captions: tuple[str, ...]

    def pictures(self) -> UInt8[np.ndarray, "b h w 3"]:
        """Draw all pictures."""
        return render(self.scenes)


def sample_corpus(count: int, seed: int) -> Corpus:
    """Draw `count` captioned scenes; of one seed, a longer corpus begins with a shorter one."""
    scenes, captions = [], []
    for index in range(count):
        generator = np.random.default_rng((seed, index))
        scene = sample_scene(_draw_species(generator), generator, _draw_style(generator))
        scenes.append(scene)
        captions.append(web_caption(scene, generator))
    return Corpus(tuple(scenes), tuple(captions))


def _draw_species(generator: np.random.Generator) -> Species:
    edges = np.cumsum([share for _, share in _GROUPS])[:-1]
    species, _ = _GROUPS[int(np.searchsorted(edges, generator.random(), side="right"))]
    return species[int(generator.integers(len(species)))]


def _draw_style(generator: np.random.Generator) -> str:
    if generator.random() < _PHOTO_SHARE:
        return "photo"
    return SEEN_STYLES[1 + int(generator.integers(len(SEEN_STYLES) - 1))]
