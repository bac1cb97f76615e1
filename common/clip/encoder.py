"""CLIP from lists to numpy arrays, for `CLIP.image_features`, `text_features` and `classify`.

The weights are placed on this process's devices once. Batches are of few sizes (see `encode_list`),
and texts have as many columns as the longest one needs, rounded up to one of `WIDTHS`. So few
programs are compiled, and none of them twice.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Array, Float, PyTree

from common.clip.encode import encode_image, encode_text, unit
from common.clip.outputs import ImageTower
from common.clip.preprocess import Preprocess
from common.clip.prompts import require_names, require_templates, require_texts
from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.encoding import Encoder, encode_list, on_local_devices, require_values
from common.errors import UserError
from common.latest import Latest
from common.photos.collection import Photos, pictures_of
from common.precision import computing
from common.text import shortened
from common.trees import Params

WIDTHS = (16, 24, 32, 48)
"""Token columns that texts are sorted into; a program each."""

_PURE_TEXT = "common.clip.encode_text"


@dataclass(frozen=True, eq=False)
class ListEncoder:
    """The parts of a CLIP, whose weights this puts on this process's devices.

    Attributes:
      text_tower, image_tower, params, tokenizer, preprocess: As of `CLIP`.
    """

    text_tower: TextTower
    image_tower: ImageTower
    params: Params
    tokenizer: Tokenizer
    preprocess: Preprocess

    def image_features(self, photos: Photos) -> Float[np.ndarray, "b p"]:
        """See `CLIP.image_features`."""
        require_values("image_features", "common.clip.encode_image")
        pictures = pictures_of(photos)
        preprocess = self.preprocess
        encode = _image_encoder(self.image_tower)
        return self._encode(
            encode, self._vision, lambda row: preprocess(pictures[row].open()), len(pictures)
        )

    def text_features(self, texts: Iterable[Any], truncate: bool) -> Float[np.ndarray, "b p"]:
        """See `CLIP.text_features`."""
        require_values("text_features", _PURE_TEXT)
        texts = require_texts(texts, "texts")
        sequences = self._sequences(texts)
        if not truncate:
            self._require_fit(texts, sequences, "texts", "shorten it, or cut it by truncate=True")
        return self._text_features(sequences)

    def class_features(
        self, names: Iterable[Any], templates: str | Iterable[Any]
    ) -> Float[np.ndarray, "k p"]:
        """See `CLIP.class_features`."""
        require_values("class_features", _PURE_TEXT)
        names, templates = require_names(names), require_templates(templates)

        def means() -> Float[np.ndarray, "k p"]:
            texts = [template.replace("{}", name) for name in names for template in templates]
            sequences = self._sequences(texts)
            self._require_fit(texts, sequences, "names", "shorten it", len(templates))
            features = self._text_features(sequences)
            mean = features.reshape(len(names), len(templates), -1).mean(axis=1)
            return mean / np.linalg.norm(mean, axis=1, keepdims=True)

        return self._classes.get((names, templates), means)

    @cached_property
    def _classes(self) -> Latest:
        return Latest()

    @cached_property
    def _vision(self) -> PyTree:
        return on_local_devices(self.params["vision"])

    @cached_property
    def _text(self) -> PyTree:
        return on_local_devices(self.params["text"])

    def _sequences(self, texts: Sequence[str]) -> list[list[int]]:
        return self.tokenizer.encode_all(texts) if texts else []

    def _require_fit(
        self,
        texts: Sequence[str],
        sequences: Sequence[Sequence[int]],
        what: str,
        remedy: str,
        group: int = 1,
    ) -> None:
        """Refuse a text that is too long; `group` texts belong to an entry of the list `what`."""
        room = self.tokenizer.room
        for place, (text, ids) in enumerate(zip(texts, sequences, strict=True)):
            if len(ids) > room:
                raise UserError(
                    f"{what}[{place // group}], {shortened(text, 60)!r}, has {len(ids)} "
                    f"tokens, and {room} fit: {remedy}."
                )

    def _text_features(self, sequences: Sequence[Sequence[int]]) -> Float[np.ndarray, "b p"]:
        tokenizer = self.tokenizer
        longest = tokenizer.specials + max(map(len, sequences), default=0)
        # Exact where the tower is causal, for padding comes last; others see all of it.
        widths = WIDTHS if self.text_tower.config.causal else ()
        width = next((width for width in widths if longest <= width), tokenizer.length)
        ids = tokenizer.pack(sequences, min(width, tokenizer.length), truncate=True)
        return self._encode(_text_encoder(self.text_tower), self._text, ids.__getitem__, len(ids))

    def _encode(
        self, encode: Encoder, params: PyTree, load: Callable[[int], np.ndarray], count: int
    ) -> Float[np.ndarray, "b p"]:
        if not count:
            return np.zeros((0, self.text_tower.config.projection), np.float32)
        with computing(self.text_tower.dtype):
            return encode_list(encode, params, load, count)["features"]


# One function per tower, so that what JAX compiled for one call serves the next.
@functools.cache
def _image_encoder(tower: ImageTower) -> Encoder:
    def encode(params: PyTree, pixels: Array) -> dict[str, Array]:
        return {"features": unit(encode_image(tower, params, pixels))}

    return encode


@functools.cache
def _text_encoder(tower: TextTower) -> Encoder:
    def encode(params: PyTree, ids: Array) -> dict[str, Array]:
        return {"features": unit(encode_text(tower, params, ids))}

    return encode
