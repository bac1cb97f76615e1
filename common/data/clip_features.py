"""Frozen CLIP features of texts and of photos: computed once, kept on disk."""

import functools
import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PyTree
from PIL import Image

from common.clip import CLIP, ImageOutput, TextTower, encode_text
from common.clip.encoder import WIDTHS
from common.clip.outputs import ImageTower
from common.data.cache import Key
from common.data.dataset import ImageSplit
from common.data.passes import cached_pass
from common.encoding import Encoder

TEXTS_AT_ONCE = 64
PHOTOS_AT_ONCE = 64
PART = 512  # texts or photos in a file, so that an interrupted pass goes on behind the last one


@dataclass(frozen=True)
class Version:
    """What is done to a photo before CLIP's own preprocessing.

    Attributes:
      name: Distinguishes versions, in the cache and in messages.
      change: (photo, its row) -> photo.
    """

    name: str
    change: Callable[[Image.Image, int], Image.Image]


ORIGINAL = Version("original", lambda photo, row: photo)
MIRROR = Version("mirror", lambda photo, row: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def text_features(
    clip: CLIP,
    texts: Sequence[str],
    cache: Path,
    tell_cut: Callable[[Collection[str]], None] = lambda cut: None,
) -> Float[np.ndarray, "b p"]:
    """Return features of texts, not normalised; what is too long for the tower is cut.

    Each distinct text is encoded once and with no more columns than its group of lengths needs,
    which is exact where the tower is causal, for padding comes last; others see all of it.

    Args:
      clip: Whose text tower.
      texts: As typed.
      cache: Folder of what was encoded before.
      tell_cut: Told which texts are cut, where some are.
    """
    distinct = list(dict.fromkeys(texts))
    sequences = clip.tokenizer.encode_all(distinct)
    if cut := too_long(clip, distinct, sequences):
        tell_cut(cut)
    features = _encode_distinct(clip, clip.tokenizer.pack(sequences, truncate=True), cache)
    row = {text: i for i, text in enumerate(distinct)}
    return features[[row[text] for text in texts]]


def too_long(clip: CLIP, texts: Sequence[str], sequences: Sequence[Sequence[int]]) -> list[str]:
    """Return those of some texts, with their tokens, that do not fit the text tower."""
    room = clip.tokenizer.room
    return [text for text, ids in zip(texts, sequences, strict=True) if len(ids) > room]


def image_features(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version = ORIGINAL
) -> Float[np.ndarray, "b p"]:
    """Return features of the photos in one version, not normalised."""
    if not len(split):
        return np.zeros((0, clip.config.text.projection), np.float32)
    return _encode_photos(clip, split, cache, version, ("features",))["features"]


def features_and_grids(
    clip: CLIP, split: ImageSplit, cache: Path
) -> tuple[Float[np.ndarray, "b p"], Float[np.ndarray, "b t c"]]:
    """Return what `image_features` gives, and the photos' cells, from one pass of the tower.

    Cells are what the tower's pooling reads, row by row, in float16: for ViT the patches of the
    last hidden state, for ResNet the last feature map.
    """
    arrays = _encode_photos(clip, split, cache, ORIGINAL, ("features", "grid"))
    return arrays["features"], arrays["grid"]


def _encode_photos(
    clip: CLIP, split: ImageSplit, cache: Path, version: Version, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the named arrays; each is cached by itself."""

    def load(row: int) -> np.ndarray:
        return clip.preprocess(version.change(split.load(row), row))

    def key(rows: range) -> Key:
        return {
            "what": f"clip image, {version.name}",
            "weights": clip.fingerprint,
            "data": split.take(rows).fingerprint,
            "preprocessing": repr(clip.preprocess),
            "dtype": str(jnp.dtype(clip.dtype)),
        }

    return cached_pass(
        photo_encoder(clip.image_tower, names),
        clip.params["vision"],
        load,
        len(split),
        names=names,
        shapes=_shapes_of_a_photo(clip),
        batch_size=PHOTOS_AT_ONCE,
        part=PART,
        directory=cache,
        key=key,
        title=f"Encoding photos (CLIP {' and '.join(names)}, {version.name})",
        unit="photos",
    )


def _encode_distinct(
    clip: CLIP, ids: Int[np.ndarray, "b s"], cache: Path
) -> Float[np.ndarray, "b p"]:
    config, encode = clip.config.text, _text_encoder(clip.text_tower)
    if config.causal:
        lengths = (ids == config.eos).argmax(1) + 1
    else:
        lengths = np.full(len(ids), ids.shape[1])
    widths = [*(width for width in WIDTHS if width < lengths.max()), int(lengths.max())]
    group = np.searchsorted(widths, lengths)
    features = np.empty((len(ids), config.projection), np.float32)

    for number, width in enumerate(widths):
        rows = np.flatnonzero(group == number)
        if not len(rows):
            continue
        tokens = ids[rows, :width]

        def key(places: range, tokens: np.ndarray = tokens) -> Key:
            chosen = np.ascontiguousarray(tokens[places.start : places.stop], "<i4")
            return {
                "what": f"clip text features, {chosen.shape[1]} columns",
                "weights": clip.fingerprint,
                "data": hashlib.sha256(chosen.tobytes()).hexdigest(),
                "dtype": str(jnp.dtype(clip.dtype)),
            }

        features[rows] = cached_pass(
            encode,
            clip.params["text"],
            tokens.__getitem__,
            len(rows),
            names=("features",),
            shapes={"features": (config.projection,)},
            batch_size=TEXTS_AT_ONCE,
            part=PART,
            directory=cache,
            key=key,
            title=f"Encoding sentences (CLIP, up to {width} tokens)",
            unit="sentences",
        )["features"]
    return features


def _shapes_of_a_photo(clip: CLIP) -> dict[str, tuple[int, ...]]:
    vision = clip.config.vision
    return {"features": (vision.projection,), "grid": vision.grid}


# One function per tower, so that what JAX compiled for one pass serves the next.
@functools.cache
def _text_encoder(tower: TextTower) -> Encoder:
    def encode(params: PyTree, ids: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_text(tower, params, ids).astype("float32")}

    return encode


@functools.cache
def photo_encoder(tower: ImageTower, names: tuple[str, ...]) -> Encoder:
    """Return what gives the named arrays of preprocessed photos."""

    def encode(params: PyTree, pixels: jax.Array) -> dict[str, jax.Array]:
        seen = tower.apply({"params": params}, pixels)
        return {name: _OF_A_PHOTO[name](seen) for name in names}

    return encode


def _cells(seen: ImageOutput) -> Float[jax.Array, "b t c"]:
    return seen.grid.reshape(len(seen.grid), -1, seen.grid.shape[-1])


_OF_A_PHOTO: dict[str, Callable[[ImageOutput], jax.Array]] = {
    "features": lambda seen: seen.features.astype("float32"),
    "grid": lambda seen: _cells(seen).astype("float16"),
}
