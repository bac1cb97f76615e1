"""Data sets that are measured on beside the one that was learned from."""

from collections.abc import Sequence
from dataclasses import replace

from common.data.dataset import FeatureSplit, ImageSplit, OpenedDataset
from common.data.sources import open_dataset
from common.errors import UserError
from common.progress import say
from common.text import counted


def open_further(spec: str, *, own: Sequence[str], holdout: int) -> OpenedDataset:
    """Open a data set to measure on; its `test` is its own test part.

    Without one it is all of the data set but for the examples that were learned from. Where
    nobody can tell these, it is the last `holdout` of each class, as in training: the data set
    may be a copy of what was learned from.

    Args:
      spec: The data set's string.
      own: The strings of what was learned from.
      holdout: As of `open_dataset`.

    Raises:
      UserError: The data set cannot be opened.
    """
    dataset = open_dataset(spec, holdout=None)
    if len(dataset.train):
        return dataset
    try:
        learned = {x for one in own for x in _digests(open_dataset(one, holdout=holdout).train)}
    except UserError:
        say(
            f"{spec} has no test part, and what was learned from is not at hand: only the last "
            f"{holdout} of each class are measured on."
        )
        return open_dataset(spec, holdout=holdout)
    new = [row for row, digest in enumerate(_digests(dataset.test)) if digest not in learned]
    seen = len(dataset.test) - len(new)
    but = f"; left out, as learned from: {seen}" if seen else ""
    say(f"{spec} has no test part: measured on {counted(len(new), 'example')}{but}.")
    return replace(dataset, test=dataset.test.take(new))


def _digests(split: ImageSplit | FeatureSplit) -> list[bytes]:
    """Return what is equal for equal examples."""
    if isinstance(split, FeatureSplit):
        return [row.tobytes() for row in split.features]
    return split.digests
