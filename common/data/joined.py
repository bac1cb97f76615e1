"""Two data sets as one: the classes of the second behind those of the first."""

from dataclasses import replace

import numpy as np

from common.data.dataset import AnyDataset
from common.data.splits import ImageSplit, Split
from common.errors import UserError
from common.text import some


def join(first: AnyDataset, second: AnyDataset) -> AnyDataset:
    """Return the classes and examples of both; there is no part for choices.

    Raises:
      UserError: They hold different things, or a class is in both.
    """
    if type(first) is not type(second):
        raise UserError(
            f"{first.name} and {second.name} cannot be learned together: one holds photos, the "
            "other features."
        )
    if common := sorted(set(first.classnames) & set(second.classnames)):
        raise UserError(
            f"{first.name} and {second.name} both have {some(common)}: rename what both have in "
            "one of the two, or leave it out there."
        )
    offset = len(first.classnames)
    return replace(
        first,
        name=f"{first.name} and {second.name}",
        classnames=first.classnames + second.classnames,
        train=_joined(first.train, second.train, offset),
        test=_joined(first.test, second.test, offset),
        val=None,
        passed_over=first.passed_over + second.passed_over,
    )


def _joined(first: Split, second: Split, offset: int) -> Split:
    labels = np.concatenate([first.labels, second.labels + offset])
    if isinstance(first, ImageSplit):
        pictures = first.pictures + second.pictures
        return ImageSplit(labels, first.names + second.names, pictures)
    widths = first.features.shape[1], second.features.shape[1]
    if widths[0] != widths[1]:
        raise UserError(
            f"features of width {widths[0]} and of width {widths[1]} cannot be learned together: "
            "make both with one CLIP."
        )
    mirrored = None
    if first.mirrored is not None and second.mirrored is not None:
        mirrored = np.concatenate([first.mirrored, second.mirrored])
    features = np.concatenate([first.features, second.features])
    return replace(first, labels=labels, features=features, mirrored=mirrored)
