"""CLIP from lists to numpy: what is beneath `CLIP.image_features`, `text_features` and `classify`.

The weights are placed on this process's devices once. A list is encoded in batches of `AT_ONCE`
and a last one that is padded to a power of two, texts with as many columns as the longest one
needs, rounded up to one of `WIDTHS`. So few programs are compiled, and none of them twice.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from common.clip.model import CLIP, encode_image, encode_text
from common.clip.prompts import require_templates, require_texts
from common.clip.resnet import ModifiedResNet
from common.clip.text import TextTower
from common.clip.vit import ViT
from common.encoding import Encoder as Pass
from common.encoding import feature_pass, on_local_devices
from common.errors import UserError
from common.photos.broken import BrokenExamples, errors_of
from common.photos.collection import Photos, pictures_of
from common.precision import product_precision

AT_ONCE = 64
WIDTHS = (16, 24, 32, 48)


@dataclass(frozen=True, eq=False)
class Encoder:
    """A CLIP whose weights are on this process's devices.

    Attributes:
      clip: The model; its own arrays stay on the host.
    """

    clip: CLIP

    def image_features(self, photos: Photos) -> Float[np.ndarray, "b p"]:
        """See `CLIP.image_features`."""
        pictures = pictures_of(photos)
        preprocess = self.clip.preprocess
        encode = _image_encoder(self.clip.image_tower)
        return self._encode(
            encode, self._vision, lambda row: preprocess(pictures[row].open()), len(pictures)
        )

    def text_features(self, texts: Iterable[Any], truncate: bool) -> Float[np.ndarray, "b p"]:
        """See `CLIP.text_features`."""
        ids = self._tokenised(require_texts(texts, "texts"), truncate)
        return self._encode(
            _text_encoder(self.clip.text_tower), self._text, ids.__getitem__, len(ids)
        )

    def class_features(
        self, names: Iterable[Any], templates: str | Iterable[Any]
    ) -> Float[np.ndarray, "k p"]:
        """See `CLIP.class_features`."""
        names = require_texts(names, "names")
        templates = require_templates(templates)
        if not names:
            raise UserError("names is empty: give the classes to choose from.")
        if (names, templates) not in self._classes:
            texts = [template.replace("{}", name) for name in names for template in templates]
            features = self.text_features(texts, truncate=False)
            means = features.reshape(len(names), len(templates), -1).mean(axis=1)
            self._classes.clear()
            self._classes[names, templates] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return self._classes[names, templates]

    @cached_property
    def _classes(self) -> dict[tuple[tuple[str, ...], tuple[str, ...]], np.ndarray]:
        """The classifier that was asked for last, since the next photos often want the same."""
        return {}

    @cached_property
    def _vision(self) -> PyTree:
        return on_local_devices(self.clip.params["vision"])

    @cached_property
    def _text(self) -> PyTree:
        return on_local_devices(self.clip.params["text"])

    def _tokenised(self, texts: Sequence[str], truncate: bool) -> Int[np.ndarray, "b s"]:
        tokenizer = self.clip.tokenizer
        sequences = tokenizer.encode_all(texts) if texts else []
        longest = 2 + max(map(len, sequences), default=0)
        if longest > tokenizer.length and not truncate:
            place = next(i for i, ids in enumerate(sequences) if len(ids) + 2 > tokenizer.length)
            text = texts[place] if len(texts[place]) < 60 else f"{texts[place][:57]}..."
            raise UserError(
                f"texts[{place}], {text!r}, has {len(sequences[place])} tokens, and "
                f"{tokenizer.length - 2} fit: shorten it, or allow it to be cut with truncate=True."
            )
        # Exact: the tower is causal, and padding comes last.
        width = next((width for width in WIDTHS if longest <= width), tokenizer.length)
        return tokenizer.pack(sequences, min(width, tokenizer.length), truncate)

    def _encode(
        self, encode: Pass, params: PyTree, load: Callable[[int], np.ndarray], count: int
    ) -> Float[np.ndarray, "b p"]:
        full = count // AT_ONCE * AT_ONCE
        parts = [part for part in (range(full), range(full, count)) if part]
        features = [np.zeros((0, self.clip.config.text.projection), np.float32)]
        precision = product_precision(jnp.dtype(self.clip.dtype).name)
        with jax.default_matmul_precision(precision):
            for part in parts:
                size = min(AT_ONCE, 1 << (len(part) - 1).bit_length())
                try:
                    encoded = feature_pass(
                        encode, params, load, size, rows=part, batch_size=AT_ONCE
                    )
                except BrokenExamples as error:
                    later = errors_of(load, range(part.stop, count))
                    raise BrokenExamples([*error.errors, *later]) from None
                features.append(encoded["features"])
        return np.concatenate(features)


def _unit(features: Float[Array, "b p"]) -> Float[Array, "b p"]:
    features = features.astype(jnp.float32)
    return features / jnp.linalg.norm(features, axis=-1, keepdims=True)


# One function per tower, so that what JAX compiled for one call serves the next.
@functools.cache
def _image_encoder(tower: ViT | ModifiedResNet) -> Pass:
    def encode(params: PyTree, pixels: Array) -> dict[str, Array]:
        return {"features": _unit(encode_image(tower, params, pixels))}

    return encode


@functools.cache
def _text_encoder(tower: TextTower) -> Pass:
    def encode(params: PyTree, ids: Array) -> dict[str, Array]:
        return {"features": _unit(encode_text(tower, params, ids))}

    return encode
