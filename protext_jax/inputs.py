"""What the evaluations of a run share: its model, texts and pictures, encoded once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import OpenedDataset, few_shot
from common.data.clip_texts import text_features
from common.evaluation.classification import accuracy, normalise
from common.names import readable
from common.photos.broken import named_together
from common.protocols.models import cache_of
from protext_jax.baseline_texts import Material
from protext_jax.baselines import text_baselines
from protext_jax.coop import as_learned, train_coop
from protext_jax.learned import LearnedPrompts
from protext_jax.pictures import encode_pictures
from protext_jax.signals import Sentences
from protext_jax.templates import PLAIN
from protext_jax.testsets import TestSet
from protext_jax.training_texts import TrainingTexts


@dataclass(frozen=True)
class EvaluationInputs:
    """What does not change between evaluations of a run; computed when asked for.

    Attributes:
      config: The run's.
      clip: The model.
      texts: What is learned from.
      sentences: Its features.
      sets: What accuracy is measured on.
      material: What the texts of the baselines are made of.
    """

    config: ConfigDict
    clip: CLIP
    texts: TrainingTexts
    sentences: Sentences
    sets: tuple[TestSet, ...]
    material: Material

    @property
    def cache(self) -> Path:
        """The folder of features."""
        return cache_of(self.config)

    @cached_property
    def pictures(self) -> dict[str, np.ndarray]:
        """Unit features of every set's test pictures, by prefix."""
        encoded = {x.prefix: encode_pictures(self.clip, x.split, self.cache) for x in self.sets}
        return {prefix: normalise(features) for prefix, features in encoded.items()}

    @cached_property
    def baselines(self) -> dict[str, dict[str, np.ndarray]]:
        """Class features `[k p]` of each baseline, by set's prefix and baseline's name."""
        return text_baselines(self.config, self.clip, self.sets, self.material)

    @cached_property
    def unprompted(self) -> Float[np.ndarray, "c p"]:
        """CLIP's own features of the trained classes, then of those that are held out."""
        plain = [PLAIN.replace("{}", readable(name)) for name in self.texts.classnames]
        return normalise(text_features(self.clip, plain, self.cache))

    def encode(self) -> None:
        """Read all pictures, so that a broken one is found before training and not after it."""
        with named_together(*(x.split for x in self.sets)):
            _ = self.pictures
            if self.config.coop_shots:
                train = few_shot(self.photos.train, self.config.coop_shots, self.config.seed)
                encode_pictures(self.clip, train, self.cache)

    @property
    def photos(self) -> OpenedDataset:
        """The photos of the trained classes."""
        return next(iter(self.texts.parts.values()))

    @cached_property
    def coop(self) -> LearnedPrompts:
        """CoOp's context, trained on photos of the trained classes."""
        config = self.config
        context = train_coop(self.clip, self.photos, config.coop_shots, config.seed, self.cache)
        return as_learned(context)

    def predicted(self, test: TestSet, classes: Float[np.ndarray, "k p"]) -> Int[np.ndarray, "b"]:
        """Return the class of each of the set's test pictures."""
        # Not `nearest_by_cosine`: class features that are shorter than 1 are meant to be.
        return (self.pictures[test.prefix] @ classes.T).argmax(1)

    def accuracy(self, test: TestSet, classes: Float[np.ndarray, "k p"]) -> float:
        """Return the share of the set's test pictures whose class is found."""
        return accuracy(self.predicted(test, classes), test.split.labels)
