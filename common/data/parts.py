"""What becomes of the parts that a published data set comes in."""

from collections.abc import Mapping

from common.data.checks import require_labels
from common.data.dataset import Dataset
from common.data.selection import hold_out
from common.data.splits import ImageSplit
from common.progress import say


def dataset_of_parts(
    name: str,
    source: str,
    classnames: tuple[str, ...],
    parts: Mapping[str, ImageSplit],
    holdout: int | None,
) -> Dataset:
    """Return a data set of the parts "train" and perhaps "val" and "test".

    Its `test` is the set's own test part, or its validation part where it publishes no test or no
    labels of it (-1), or else the last `holdout` examples per class.

    Args:
      name: The data set's own name, for tables.
      source: The string that names it, for messages.
      classnames: What labels count.
      parts: By their names.
      holdout: Examples per class; None: all.

    Raises:
      UserError: A label is not one of a class, or a class is too small to hold out from.
    """
    train, validation, test = parts["train"], parts.get("val"), parts.get("test")
    if test is not None and len(test) and (test.labels < 0).all():
        kept = "train" if holdout is None else f"the last {holdout} of each class"
        kept = "validation" if validation is not None else kept
        say(f"The labels of {source}'s test part are not published: {kept} is tested on.")
        test = None
    if test is not None:
        return Dataset(name, classnames, train=train, test=test, val=validation)
    if validation is not None:
        return Dataset(name, classnames, train=train, test=validation)
    require_labels(train.labels, len(classnames), f"the train labels of {source}")
    train, test = hold_out(train, classnames, holdout, source)
    return Dataset(name, classnames, train=train, test=test)
