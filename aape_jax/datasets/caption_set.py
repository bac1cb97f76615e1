"""Images with captions of their own as text, as strings name them: `pocket:captions`,
`karpathy:...`, `coco:...`; `FORMS` lists them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from aape_jax.datasets.captions_by_image import open_by_image
from aape_jax.datasets.coco_captions import open_coco
from aape_jax.datasets.coco_files import Captioned, Parts
from aape_jax.datasets.flickr import LAYOUTS, open_flickr
from aape_jax.datasets.karpathy import open_karpathy
from aape_jax.datasets.nocaps import DOMAINS, training_set, validation
from aape_jax.datasets.question_set import split_of
from common.data import ImageSplit
from common.errors import UserError
from common.paths import place_text
from common.pocket.captions import captions
from common.pocket.datasets import ScenePhoto
from common.pocket.world import ANONYMOUS, Scene, sample_scene
from common.weights.fingerprint import text_digest

POCKET_SIZES = {
    "captions": {"train": 512, "test": 200},
    "many_captions": {"train": 4096, "test": 200},  # the test pictures are those of "captions"
}
PARTS = ("train", "test")


@dataclass(frozen=True)
class CaptionSet:
    """Pictures and their captions as text; of one part of a data set."""

    pictures: ImageSplit
    captions: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for name, texts in zip(self.pictures.names, self.captions, strict=True):
            if not texts:
                raise UserError(f"{name} has no caption: add one or leave the image out.")

    @property
    def counts(self) -> tuple[int, int]:
        """How many images there are, and how many captions."""
        return len(self.captions), sum(map(len, self.captions))

    @property
    def fingerprint(self) -> str:
        """16 hex characters that change with any picture or caption, not with the device."""
        return text_digest(self.pictures.fingerprint + json.dumps(self.captions))


def open_caption_set(spec: Path | str) -> dict[str, CaptionSet]:
    """Return the parts "train" and "test" of a captioned data set of pictures.

    Raises:
      UserError: The string names none.
    """
    read = _opened(place_text(spec, "the data set"))
    # The smaller part first; and what a string names itself before what it learns from.
    test, train = (CaptionSet(*read(part)) for part in reversed(PARTS))
    return {"train": train, "test": test}


def _opened(spec: str) -> Parts:
    kind, _, where = spec.partition(":")
    if kind not in OPENERS:
        raise UserError(
            f"data={spec!r} is not a captioned data set: write {', '.join(FORMS)} or, for "
            "retrieval alone, features:FILE.npz."
        )
    return OPENERS[kind](where)


def _pocket(where: str) -> Parts:
    if where not in POCKET_SIZES:
        known = " or ".join(f"pocket:{name}" for name in POCKET_SIZES)
        raise UserError(f"there is no captioned set 'pocket:{where}': write {known}.")

    def draw(part: str) -> Captioned:
        scenes = pocket_scenes(part, where)
        split = split_of([ScenePhoto(scene) for scene in scenes], part)
        return split, tuple(captions(scene) for scene in scenes)

    return draw


def pocket_scenes(part: str, name: str = "captions") -> tuple[Scene, ...]:
    """Draw the scenes of a part; a species without name in each."""
    scenes = []
    for number in range(POCKET_SIZES[name][part]):
        generator = np.random.default_rng((part == "test", number))
        species = ANONYMOUS[int(generator.integers(len(ANONYMOUS)))]
        scenes.append(sample_scene(species, generator))
    return tuple(scenes)


def _nocaps(kind: str, where: str) -> Parts:
    def read(part: str) -> Captioned:
        if part == "train":
            return _opened(training_set(kind, where))(part)
        return validation(kind, where)

    return read


OPENERS: dict[str, Callable[[str], Parts]] = {
    "pocket": _pocket,
    "karpathy": open_karpathy,
    "coco": open_coco,
    "captions": open_by_image,
    **{kind: partial(open_flickr, kind) for kind in LAYOUTS},
    **{kind: partial(_nocaps, kind) for kind in DOMAINS},
}
FORMS = (
    "pocket:captions",
    "karpathy:FILE.json,FOLDER",
    "coco:FOLDER",
    *(f"{kind}:FOLDER" for kind in LAYOUTS),
    "captions:FILE.json,FOLDER",
    "nocaps:FILE.json,FOLDER,TRAIN",
)
