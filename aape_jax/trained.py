"""What a classification run learned, in Python: a head that classifies photos.

run = aape_jax.load("runs/aape")
run.classify(["a.jpg", "b.jpg"]).names
run.classify(["a.jpg", "b.jpg"], ["tabby cat", "siamese cat"]).names
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from aape_jax.classification.class_texts import without_lost_sentences
from aape_jax.classification.learned import class_features, learned_classnames
from aape_jax.classification.recipes import with_defaults
from aape_jax.core.head import Head
from aape_jax.core.heads_file import head_file, read_head, require_fit
from aape_jax.core.presets import OWN
from common.clip import CLIP, Predictions
from common.clip.class_file import ClassFeatures, read_published_classes
from common.clip.prompts import require_names
from common.config import read_config
from common.data import open_dataset
from common.encoding import Encoder, encode_list
from common.errors import UserError
from common.hub import local_run
from common.latest import Latest
from common.paths import AnyPath
from common.photos.collection import Photos
from common.precision import computing
from common.protocols.models import clip_of
from configs.aape import defaults


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """The head of a finished run; its CLIP is loaded when it is first needed.

    Attributes:
      config: The run's.
      params: Of the run's own head: h, and g where there is one.
      published: The learned classes, where a published run brings them along.
    """

    config: ConfigDict
    params: PyTree
    published: ClassFeatures | None = None
    _latest: Latest = field(default_factory=Latest, init=False, repr=False)

    @property
    def head(self) -> Head:
        """The form of h and g."""
        return Head.from_config(self.config)

    @cached_property
    def clip(self) -> CLIP:
        """The model whose features the head reads.

        Raises:
          UserError: The run learned from features of photos alone.
        """
        if not self.config.model:
            raise UserError(
                "the run has model='', so no image tower for photos: ask aape_jax.predict, which "
                "takes features."
            )
        clip = clip_of(self.config)
        require_fit(OWN, self.params, self.head.shapes(clip.config.text.projection))
        return clip

    @cached_property
    def classnames(self) -> tuple[str, ...]:
        """The classes that the run learned, as its data set says them."""
        if self.published:
            return self.published.classnames
        dataset = open_dataset(self.config.data, holdout=self.config.holdout)
        return learned_classnames(self.config, dataset.classnames)

    def class_features(self, names: Iterable[Any] | None = None) -> Float[np.ndarray, "k p"]:
        """Return CLIP's features of the given classes, or of those that the run learned.

        They are of what `classifier.classes` says; where that is sentences, of those in the run's
        `prompts.source`. Where this file is missing, the template's features stand for other
        classes than the learned ones, and a line says so.

        Raises:
          UserError: A name is not a text, or is not in the run's file of features.
        """
        given = names is not None
        names = require_names(names) if given else self.classnames
        if self.published and names == self.published.classnames:
            return self.published.of(self.clip)

        def compute() -> Float[np.ndarray, "k p"]:
            config, kinds = self.config, (self.config.classifier.classes,)
            if given:
                config = without_lost_sentences(config, kinds)
            return class_features(config, self.clip, names)

        return self._latest.get((given, names), compute)

    def classify(self, photos: Photos, names: Iterable[Any] | None = None) -> Predictions:
        """Say which of some classes each photo shows.

        Args:
          photos: PIL images, uint8 arrays `[h, w, 3]` and paths, mixed as they come.
          names: Any classes, seen in training or not; by default the learned ones.

        Raises:
          UserError: A photo or a name does not fit; the sentence says which.
        """
        given = None if names is None else require_names(names)
        w, x = self.class_features(given), self.clip.image_features(photos)
        names = given or self.classnames
        logits = np.zeros((0, len(names)), np.float32)
        if len(x):
            with computing(self.config.dtype):
                outputs = encode_list(_logits(self.head), (self.params, w), x.__getitem__, len(x))
            logits = outputs["logits"]
        return Predictions.from_logits(logits, names)


def load(run: AnyPath | str) -> TrainedHead:
    """Read what a classification run learned.

    Args:
      run: The folder of a finished run, or `hf:USER/NAME`.

    Raises:
      UserError: It holds no such run, or one that is not finished.
    """
    run = local_run(run)
    config = with_defaults(read_config(run, defaults()))
    head = read_head(head_file(run, OWN))
    return TrainedHead(config, head, read_published_classes(run))


# One function per head, so that what JAX compiled for one call serves the next.
@functools.cache
def _logits(head: Head) -> Encoder:
    def encode(shared: PyTree, x: Array) -> dict[str, Array]:
        params, w = shared
        return {"logits": head.logits(params, x, w)}

    return encode
