"""Data sets that are measured on beside the one that was learned from."""

from collections.abc import Callable
from dataclasses import replace

from common.data.dataset import OpenedDataset
from common.data.selection import hold_out
from common.data.sources import open_dataset
from common.data.splits import FeatureSplit, ImageSplit
from common.errors import UserError
from common.progress import say
from common.text import counted


def open_further(
    spec: str, learned: Callable[[], ImageSplit | FeatureSplit], holdout: int
) -> OpenedDataset:
    """Open a data set to measure on; its `test` is its own test part.

    Without one it is all of the data set but for the examples that were learned from. Where
    these are not known, it is the last `holdout` of each class, as in training: the data set
    may be a copy of what was learned from.

    Args:
      spec: The data set's string.
      learned: Gives what was learned from, or raises `UserError` where it is not at hand; called
        where the data set has no test part.
      holdout: As of `open_dataset`.

    Raises:
      UserError: The data set cannot be opened.
    """
    dataset = open_dataset(spec, holdout=None)
    if len(dataset.train):
        return dataset
    try:
        seen = set(learned().digests)
    except UserError:
        say(
            f"{spec} has no test part, and what was learned from is not at hand: only the last "
            f"{holdout} of each class make one."
        )
        train, test = hold_out(dataset.test, dataset.classnames, holdout, spec)
        return replace(dataset, train=train, test=test)
    new = [row for row, digest in enumerate(dataset.test.digests) if digest not in seen]
    left = len(dataset.test) - len(new)
    but = f"; left out, as learned from: {left}" if left else ""
    say(f"{spec} has no test part and is one as a whole: {counted(len(new), 'example')}{but}.")
    return replace(dataset, test=dataset.test.take(new))
