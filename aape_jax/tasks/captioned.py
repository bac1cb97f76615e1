"""Images with captions of their own, as strings name them: `pocket:captions`, `karpathy:...`,
`nocaps:...`, `features:FILE.npz`.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from aape_jax.tasks.coco_files import entries, photos
from aape_jax.tasks.nocaps import DOMAINS, training_set, validation
from common.clip import CLIP
from common.data import ImageSplit
from common.data.checks import require_features, require_labels
from common.data.clip_features import image_features, text_features
from common.data.feature_files import read_feature_file
from common.data.places import local_path
from common.errors import UserError
from common.evaluation.classification import normalise
from common.photos.broken import named_together
from common.pocket.captions import captions
from common.pocket.datasets import ScenePhoto
from common.pocket.world import ANONYMOUS, Scene, sample_scene

POCKET_SIZES = {
    "captions": {"train": 512, "test": 200},
    "many_captions": {"train": 4096, "test": 200},  # the test pictures are those of "captions"
}
PARTS = ("train", "test")
KARPATHY_PARTS = {"train": ("train", "restval"), "test": ("test",)}


@dataclass(frozen=True, eq=False)
class Captioned:
    """Features of images and of their captions, unit length.

    Attributes:
      x: `[b p]`.
      captions: Of all images, in the same space, `[m p]`.
      owner: Whose each caption is, `[m]`.
      fingerprint: Of what they were made from.
    """

    x: Float[np.ndarray, "b p"]
    captions: Float[np.ndarray, "m q"]
    owner: Int[np.ndarray, "m"]
    fingerprint: str

    def __post_init__(self):
        if not len(self.x):
            raise UserError("there are no images with captions: add some.")
        counts = np.bincount(self.owner, minlength=len(self.x))
        if not counts.all():
            raise UserError(
                f"image number {int(np.argmin(counts))} has no caption: add one or leave the "
                "image out."
            )
        if self.x.shape[1] != self.captions.shape[1]:
            raise UserError(
                f"the image features have width {self.x.shape[1]} and the captions "
                f"{self.captions.shape[1]}: take both from one model."
            )


@dataclass(frozen=True)
class Texts:
    """Pictures and their captions as text; of one part of a data set."""

    pictures: ImageSplit
    captions: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for name, own in zip(self.pictures.names, self.captions, strict=True):
            if not own:
                raise UserError(f"{name} has no caption: add one or leave the image out.")

    @property
    def fingerprint(self) -> str:
        """16 hex characters that change with any picture or caption, not with the device."""
        content = self.pictures.fingerprint + json.dumps(self.captions)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def open_captioned(spec: str, clip: CLIP | None, cache: Path) -> dict[str, Captioned]:
    """The parts "train" and "test" of a captioned data set, encoded.

    Raises:
      UserError: the string names none, or an image has no caption.
    """
    kind, _, where = spec.partition(":")
    if kind == "features":
        file = local_path(where)
        return {part: _read_features(file, part) for part in PARTS}
    texts = open_texts(spec)
    if clip is None:
        raise UserError(f"model='' cannot encode {spec!r}: name a model.")
    with named_together(*(own.pictures for own in texts.values())):
        return {part: encode(own, clip, cache) for part, own in texts.items()}


def open_texts(spec: str) -> dict[str, Texts]:
    """The parts "train" and "test" of a captioned data set of pictures.

    Raises:
      UserError: the string names none.
    """
    kind, _, where = spec.partition(":")
    if kind not in OPENERS:
        raise UserError(
            f"data={spec!r} is no captioned data set: write pocket:captions, "
            "karpathy:FILE.json,FOLDER, nocaps:FILE.json,FOLDER,TRAIN or, for retrieval alone, "
            "features:FILE.npz."
        )
    return {part: OPENERS[kind](where, part) for part in PARTS}


def encode(texts: Texts, clip: CLIP, cache: Path) -> Captioned:
    """The features of pictures and captions.

    Raises:
      UserError: a picture has no caption.
    """
    x = normalise(image_features(clip, texts.pictures, cache))
    return Captioned(x, *encode_captions(texts, clip, cache), texts.fingerprint)


def encode_captions(
    texts: Texts, clip: CLIP, cache: Path
) -> tuple[Float[np.ndarray, "m q"], Int[np.ndarray, "m"]]:
    """The features of all captions, unit length, and whose each is."""
    flat = [caption for own in texts.captions for caption in own]
    owner = np.repeat(np.arange(len(texts.captions)), [len(own) for own in texts.captions])
    return normalise(text_features(clip, flat, cache)), owner


def _pocket(where: str, part: str) -> Texts:
    if where not in POCKET_SIZES:
        known = " or ".join(f"pocket:{name}" for name in POCKET_SIZES)
        raise UserError(f"there is no captioned set 'pocket:{where}': write {known}.")
    scenes = pocket_scenes(part, where)
    names = tuple(f"{part}-{number}" for number in range(len(scenes)))
    split = ImageSplit(np.arange(len(scenes)), names, tuple(map(ScenePhoto, scenes)))
    return Texts(split, tuple(captions(scene) for scene in scenes))


def pocket_scenes(part: str, name: str = "captions") -> tuple[Scene, ...]:
    """The scenes of a part; a species without name in each."""
    scenes = []
    for number in range(POCKET_SIZES[name][part]):
        generator = np.random.default_rng((part == "test", number))
        species = ANONYMOUS[int(generator.integers(len(ANONYMOUS)))]
        scenes.append(sample_scene(species, generator))
    return tuple(scenes)


def _karpathy(where: str, part: str) -> Texts:
    file, comma, folder = where.partition(",")
    if not comma:
        raise UserError(f"'karpathy:{where}' needs two paths: karpathy:FILE.json,FOLDER.")
    listed = entries(local_path(file), "images", ("split", "filename", "sentences"))
    parts = listed.texts("split")
    images = [listed.record(row) for row, own in enumerate(parts) if own in KARPATHY_PARTS[part]]
    if not images:
        raise UserError(
            f"{file} has no images of the part {part!r}: give Karpathy's file, whose images have a "
            f"'split' such as {KARPATHY_PARTS[part][0]!r}."
        )
    root = local_path(folder)
    paths = [root / each.text("filepath", default="") / each.text("filename") for each in images]
    split = photos(paths, Path(file))
    return Texts(split, tuple(tuple(s.text("raw") for s in x.records("sentences")) for x in images))


def _nocaps(kind: str, where: str, part: str) -> Texts:
    if part == "train":
        return open_texts(training_set(kind, where))[part]
    return Texts(*validation(kind, where))


OPENERS: dict[str, Callable[[str, str], Texts]] = {
    "pocket": _pocket,
    "karpathy": _karpathy,
    **{kind: partial(_nocaps, kind) for kind in DOMAINS},
}


def _read_features(file: Path, part: str) -> Captioned:
    """Reads `PART_features [N,p]`, `PART_captions [M,p]` and `PART_owner [M]`."""
    arrays = read_feature_file(file)
    wanted = [f"{part}_{name}" for name in ("features", "captions", "owner")]
    if missing := [name for name in wanted if name not in arrays]:
        raise UserError(f"the feature file {file} holds no array {missing[0]!r}: add it.")
    owner = arrays[wanted[2]]
    x, texts = (require_features(arrays[name], f"{name} of {file}") for name in wanted[:2])
    if owner.shape != texts.shape[:1]:
        raise UserError(
            f"{part}_owner {owner.shape} of {file} must name an image of each of the {len(texts)} "
            "captions: write one number for each."
        )
    owner = require_labels(owner, len(x), f"{part}_owner of {file}", "images")
    made_from = hashlib.sha256(x.tobytes() + texts.tobytes() + arrays[wanted[2]].tobytes())
    return Captioned(normalise(x), normalise(texts), owner, made_from.hexdigest()[:16])
