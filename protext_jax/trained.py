"""What a run learned, in Python: prompts that make a classifier of any class names.

run = protext_jax.load("runs/text")
run.classify(["a.jpg", "b.jpg"]).names
run.classify(["a.jpg", "b.jpg"], ["tabby cat", "siamese cat"]).names
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP, Predictions, load_clip
from common.clip.class_file import ClassFeatures, read_published_classes
from common.clip.prompts import require_names
from common.hub import local_run
from common.latest import Latest
from common.paths import AnyPath
from common.photos.collection import Photos
from common.precision import computing
from protext_jax.classifier import class_features
from protext_jax.files import read_run_prompts
from protext_jax.learned import LearnedPrompts
from protext_jax.prompts import training_template
from protext_jax.testsets import own_test_sets
from protext_jax.training_texts import gather_texts


@dataclass(frozen=True, eq=False)
class TrainedPrompts:
    """The prompts of a finished run; its model is loaded when it is first needed.

    Attributes:
      config: The run's.
      prompts: What it learned.
      published: The learned classes, where a published run brings them along.
      model: The model that the prompts were learned with, where it is loaded already.
    """

    config: ConfigDict
    prompts: LearnedPrompts
    published: ClassFeatures | None = None
    model: CLIP | None = None
    _latest: Latest = field(default_factory=Latest, init=False, repr=False)

    @cached_property
    def clip(self) -> CLIP:
        """The model that the prompts were learned with."""
        clip, config = self.model, self.config
        if clip is None:
            clip = load_clip(config.model, config.dtype, image_size=config.image_size)
        self.prompts.require_model(clip)
        return clip

    @property
    def classnames(self) -> tuple[str, ...]:
        """The classes that the run learned; its data set, or else its sentences, say them."""
        return self.published.classnames if self.published else self._learned[0]

    @cached_property
    def _learned(self) -> tuple[tuple[str, ...], str]:
        """The learned classes and the template that they are measured in."""
        texts = gather_texts(self.config, self.clip.tokenizer)
        sets = own_test_sets(self.config, texts)
        # Not those of the first test set: there may be photos of new classes alone.
        names = next((part.classnames for part in texts.parts.values()), texts.classnames)
        return names, sets[0].template if sets else self.any_template

    @property
    def template(self) -> str:
        """The template that the learned classes are measured in."""
        if self.published:
            return self.published.metadata.get("template", self.any_template)
        return self._learned[1]

    @property
    def any_template(self) -> str:
        """The template of any other names."""
        return self.config.test_template or training_template(self.config)

    def class_features(self, names: Iterable[Any] | None = None) -> Float[np.ndarray, "k p"]:
        """Return the classifier of the given classes, or of those that the run learned.

        Raises:
          UserError: A name is not a text, or is too long.
        """
        if names is None and self.published:
            return self.published.of(self.clip)
        names, template = (
            self._learned if names is None else (require_names(names), self.any_template)
        )

        def encode() -> Float[np.ndarray, "k p"]:
            with computing(self.config.dtype):
                return class_features(self.clip, self.prompts, template, names)

        return self._latest.get((names, template), encode)

    def classify(self, photos: Photos, names: Iterable[Any] | None = None) -> Predictions:
        """Say which of some classes each photo shows.

        Args:
          photos: PIL images, uint8 arrays `[h, w, 3]` and paths, mixed as they come.
          names: Any classes, with or without sentences; by default the learned ones.

        Raises:
          UserError: A photo or a name does not fit; the sentence says which.
        """
        names = None if names is None else require_names(names)
        cosines = self.clip.image_features(photos) @ self.class_features(names).T
        return Predictions.from_logits(self.clip.scale * cosines, names or self.classnames)


def load(run: AnyPath | str, number: int | None = None) -> TrainedPrompts:
    """Read what a run learned.

    Args:
      run: The folder of a finished run, or `hf:USER/NAME`.
      number: Of a sweep, which of its runs; by default the one that text alone prefers.

    Raises:
      UserError: It holds no run, or one that is not finished.
    """
    run = local_run(run)
    # Of a sweep the features are those of the run that text alone prefers.
    published = read_published_classes(run) if number is None else None
    return TrainedPrompts(*read_run_prompts(run, number), published)
