"""Examples that are in two parts of a data set: what is measured on them was learned by heart."""

from common.data.splits import Split
from common.progress import say
from common.text import counted


def say_shared(train: Split, *tests: Split) -> None:
    """Print how many examples of each test part are learned from as well.

    Args:
      train: What is learned from.
      tests: What is measured on.
    """
    learned = dict(zip(train.digests, train.names, strict=True))
    for test in tests:
        rows = [row for row, digest in enumerate(test.digests) if digest in learned]
        if rows:
            name, twin = test.names[rows[0]], learned[test.digests[rows[0]]]
            say(
                f"{len(rows)} of {counted(len(test), 'test example')} also learned from, e.g. "
                f"{name}, which is {twin}: figures on them say nothing of new ones; take them out, "
                "or split a folder by `python -m common.split`."
            )
