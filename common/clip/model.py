"""A loaded CLIP: configuration, weights, tokenizer, preprocessing; features and classification."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float

from common.choices import check_choice
from common.clip.config import CLIPConfig
from common.clip.encode import image_tower
from common.clip.encoder import ListEncoder
from common.clip.families import family_of
from common.clip.outputs import ImageTower
from common.clip.predictions import SCORES, Predictions
from common.clip.preprocess import Preprocess
from common.clip.prompts import PLAIN, require_names
from common.clip.text import TextTower
from common.clip.tokenizer import Tokenizer
from common.errors import UserError
from common.photos.collection import Photos
from common.trees import Params

_BIAS = "logit_bias"


@dataclass(frozen=True)
class CLIP:
    """A CLIP as `load_clip` returns it.

    `image_features`, `text_features` and `classify` take lists and give numpy arrays; the first
    call places the weights on this process's devices, and each size of batch is compiled once.
    Beneath them are the towers and `encode_image`, `encode_text`, for what is sharded or
    differentiated.

    Attributes:
      config: Sizes of both towers.
      params: `{"text": ..., "vision": ..., "logit_scale": ...}`, arrays on the host; the scale
        is a logarithm, and SigLIP has a `logit_bias` as well. Put them on devices once
        (`jax.device_put`), pass them as arguments.
      tokenizer: Text to ids.
      preprocess: PIL image to pixels.
      fingerprint: Names these weights in caches and results.
      dtype: Of the weights and activations.
    """

    config: CLIPConfig
    params: Params
    tokenizer: Tokenizer
    preprocess: Preprocess
    fingerprint: str
    dtype: DTypeLike = jnp.float32

    @property
    def text_tower(self) -> TextTower:
        """The text tower's module; its weights are `params["text"]`."""
        return family_of(self.config).text_tower(self.config.text, self.dtype)

    @property
    def image_tower(self) -> ImageTower:
        """The image tower's module; its weights are `params["vision"]`."""
        return image_tower(self.config, self.dtype)

    @property
    def scale(self) -> np.float32:
        """The factor of cosines in front of the softmax; CLIP's own is 100."""
        return np.exp(np.float32(self.params["logit_scale"]))

    @property
    def bias(self) -> np.float32:
        """What is added to the scaled cosines; 0 but for SigLIP."""
        return np.float32(self.params.get(_BIAS, 0))

    def image_features(self, photos: Photos) -> Float[np.ndarray, "b p"]:
        """Encode photos: one feature each, of unit length.

        Args:
          photos: PIL images, uint8 arrays `[h, w, 3]` and paths, in any mixture.

        Raises:
          UserError: An entry is not a photo or cannot be read; the message names all of these.
        """
        return self._encoder.image_features(photos)

    def text_features(
        self, texts: Iterable[Any], *, truncate: bool = False
    ) -> Float[np.ndarray, "b p"]:
        """Encode texts: one feature each, of unit length.

        Args:
          texts: As typed; the tokenizer cleans them.
          truncate: Cut a text that is too long for the tower, instead of an error.

        Raises:
          UserError: An entry is not a text, or is too long; the message names it.
        """
        return self._encoder.text_features(texts, truncate)

    def class_features(
        self, names: Iterable[Any], templates: str | Iterable[Any] = PLAIN
    ) -> Float[np.ndarray, "k p"]:
        """Encode classes by name: the mean over templates, scaled to unit length.

        Args:
          names: As they stand in a sentence.
          templates: One or more, with `{}` where the name goes; for the 80 of the paper
            `common.data.templates.TEMPLATES["imagenet"]`.

        Raises:
          UserError: A name or a template does not fit; the message names it.
        """
        return self._encoder.class_features(names, templates)

    def classify(
        self,
        photos: Photos,
        names: Iterable[Any],
        *,
        templates: str | Iterable[Any] = PLAIN,
        scores: str = "softmax",
    ) -> Predictions:
        """Classify photos zero-shot: return the probability of each class for each photo.

        Args:
          photos: As of `image_features`.
          names: As of `class_features`.
          templates: Likewise.
          scores: "softmax" for one class of those named; "sigmoid", which SigLIP was trained with,
            for each class by itself, so that a photo may show several or none.

        Raises:
          UserError: A photo, a name or a template does not fit; the message names it. Or the
            model was not trained with a sigmoid.
        """
        check_choice("scores", scores, SCORES)
        if scores == "sigmoid" and _BIAS not in self.params:
            raise UserError(
                "scores='sigmoid' is for models that were trained with it, as SigLIP was, and this "
                "one was trained with a softmax: leave it at 'softmax'."
            )
        names = require_names(names)
        classes = self.class_features(names, templates)
        cosines = self.image_features(photos) @ classes.T
        return Predictions.from_logits(self.scale * cosines + self.bias, names, scores)

    @cached_property
    def _encoder(self) -> ListEncoder:
        return ListEncoder(
            self.text_tower, self.image_tower, self.params, self.tokenizer, self.preprocess
        )
