"""The photos of a run, opened and checked, and the captions beside them."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import FeatureDataset, FeatureSplit, ImageSplit, OpenedDataset, open_dataset
from common.data.few_shot import shortfall
from common.data.joined import join
from common.data.templates import TEMPLATES
from common.errors import UserError
from common.text import some
from mcti_jax.captions import captions_beside, prompts_of_photos
from mcti_jax.formats import token_words


def open_own(config: ConfigDict) -> tuple[OpenedDataset, tuple[str, ...]]:
    """Open what a run learns from, and name the classes that `add` brings.

    Raises:
      UserError: A data set cannot be opened, or holds too little to learn from.
    """
    dataset, added = open_photos(config, config.data), ()
    if config.add:
        further = open_photos(config, config.add)
        dataset, added = join(dataset, further), further.classnames
    check_classes(dataset.classnames, config)
    return dataset, added


def require_photos(dataset: OpenedDataset) -> None:
    """Refuse classes without a photo to learn from; the parts of a set may have different classes.

    Raises:
      UserError: It names them.
    """
    if lacking := shortfall(dataset.train, 1, dataset.classnames):
        raise UserError(
            f"{dataset.name} has no photo to learn {some([*lacking])} from: add photos to its "
            "train part, or take what has none out of its other parts."
        )


def open_photos(config: ConfigDict, spec: str) -> OpenedDataset:
    """Open a data set of photos, or of their features where nothing is denoised.

    Raises:
      UserError: It cannot be opened, or holds too little to learn from.
    """
    dataset = open_dataset(spec, holdout=config.holdout)
    if isinstance(dataset, FeatureDataset) and config.alpha:
        raise UserError(
            f"{spec!r} holds features only and alpha={config.alpha:g} learns from photos, too: "
            "give alpha=0, or pocket:, folder:, coop:, tfds: or hf:."
        )
    return dataset


def captions_of(
    config: ConfigDict, train: ImageSplit | FeatureSplit, classnames: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the prompt of each photo from the caption beside it; nothing if none is asked for.

    Raises:
      UserError: There is no caption, or one cannot be used.
    """
    if not config.captions:
        return ()
    captions = captions_beside(train) if isinstance(train, ImageSplit) else ()
    if not any(captions):
        raise UserError(
            f"captions=true finds no caption beside a photo of {config.data!r}: write what "
            "PHOTO.jpg shows into PHOTO.txt, or leave it out."
        )
    template, words = TEMPLATES[config.templates][0], token_words(classnames)
    return prompts_of_photos(captions, train.names, template, words)


def require_features_of(clip: CLIP, split: ImageSplit | FeatureSplit, config: ConfigDict) -> None:
    """Refuse features of another width than CLIP's own.

    Raises:
      UserError: It names both.
    """
    width = clip.config.text.projection
    if isinstance(split, FeatureSplit) and split.features.shape[1] != width:
        raise UserError(
            f"the features of {config.data!r} are {split.features.shape[1]} wide and those of "
            f"clip={config.clip!r} {width}: give the CLIP that made them."
        )


def check_classes(classnames: Sequence[str], config: ConfigDict) -> None:
    """Refuse a single class without others to distinguish, where nothing else is learned.

    Raises:
      UserError: There is one class, and `alpha` is 0.
    """
    if len(classnames) == 1 and not config.alpha:
        raise UserError(
            f"{config.data!r} has one class, from which alpha=0 leaves nothing to learn: there is "
            "no other class to tell it from. Give alpha=1, or a second class."
        )
