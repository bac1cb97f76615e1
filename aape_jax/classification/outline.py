"""What a classification run needs of its model and photos to be compiled: their shapes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.classification.inputs import training_split
from aape_jax.classification.recipes import with_defaults
from aape_jax.core.presets import class_kinds
from common.clip.known import describe_clip
from common.data import Dataset, FeatureDataset, open_dataset
from common.errors import UserError
from common.protocols.class_parts import learned_classes


@dataclass(frozen=True)
class Outline:
    """Sizes in place of features.

    Attributes:
      examples: Training photos.
      classes: Learned classes.
      width: Joint width.
    """

    examples: int
    classes: int
    width: int

    def frozen(self, config: ConfigDict) -> PyTree:
        """Return the shapes of the frozen tree."""
        prompts = (self.classes, config.prompts.padded)
        return {
            "x": jax.ShapeDtypeStruct((config.views, self.examples, self.width), jnp.float32),
            "labels": jax.ShapeDtypeStruct((self.examples,), jnp.int32),
            "classes": {
                kind: jax.ShapeDtypeStruct((self.classes, self.width), jnp.float32)
                for kind in class_kinds(config)
            },
            "prompts": jax.ShapeDtypeStruct((*prompts, self.width), jnp.float32),
            "mask": jax.ShapeDtypeStruct(prompts, jnp.bool_),
        }


def describe(config: ConfigDict) -> Outline:
    """Describe what a run of `config` would gather.

    Raises:
      UserError: The model or the number of photos is not known.
    """
    config = with_defaults(config)
    if not config.model:
        raise UserError("model='' has no sizes to compile for: name a model.")
    width = describe_clip(config.model, image_size=config.image_size).config.vision.projection
    if not config.classes:
        dataset = open_dataset(config.data, holdout=config.holdout)
        learned = learned_classes(config.subsample, len(dataset.classnames))
        return Outline(count_examples(config, dataset), len(learned), width)
    return Outline(_stated_examples(config), _stated_classes(config), width)


def training_examples(config: ConfigDict) -> int:
    """Count the photos that a run learns from.

    Raises:
      UserError: They cannot be opened, nor does the config say how many there are.
    """
    config = with_defaults(config)
    try:
        dataset = open_dataset(config.data, holdout=config.holdout)
    except UserError:
        if not config.classes:
            raise
        return _stated_examples(config)  # To be compiled, not run.
    return count_examples(config, dataset)


def count_examples(config: ConfigDict, dataset: Dataset | FeatureDataset) -> int:
    """Count the photos of a run's open data set that it learns from."""
    learned = learned_classes(config.subsample, len(dataset.classnames))
    return len(training_split(with_defaults(config), dataset, learned))


def _stated_classes(config: ConfigDict) -> int:
    return len(learned_classes(config.subsample, config.classes))


def _stated_examples(config: ConfigDict) -> int:
    if not config.shots:
        raise UserError(
            f"shots=0 takes all photos of {config.data!r}, whose number is not known here: "
            "give shots=N, or classes=0 to have the data set opened and counted."
        )
    return config.shots * _stated_classes(config)
