"""Dataset strings: `kind:where`, one opener per kind."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from common.data.coop import open_coop
from common.data.dataset import Dataset, OpenedDataset
from common.data.feature_files import open_features
from common.data.folder import open_folder
from common.data.hugging_face import open_hugging_face
from common.data.memory import KIND as MEMORY
from common.data.memory import kept
from common.data.places import is_folder
from common.data.selection import hold_out
from common.data.tfds import open_tfds
from common.errors import UserError
from common.paths import place_text


def open_dataset(spec: str | Path, *, holdout: int | None = 1) -> OpenedDataset:
    """Open the data set that a dataset string names.

    Args:
      spec: `pocket:NAME`, `folder:PATH`, `coop:PATH`, `tfds:NAME`, `hf:OWNER/NAME` or
        `hf:PATH`, perhaps with `:CONFIG`, `features:FILE.npz`, or `memory:NAME` as
        `Dataset.spec` gives it.
      holdout: Examples per class to test on where the source itself has no test part; None takes
        all of them.

    Raises:
      UserError: The string names no kind or nothing that this kind can open.
    """
    spec = place_text(spec, "the data set")
    kind, colon, where = spec.partition(":")
    if not colon or not where.strip() or kind not in OPENERS:
        # What is in memory is Python's to name, by `Dataset.spec`.
        kinds = ", ".join(f"{name}:..." for name in OPENERS if name != MEMORY)
        near = f" (perhaps folder:{spec})" if is_folder(spec) else ""
        raise UserError(f"{spec!r} is not a data set: write one of {kinds}{near}.")
    return OPENERS[kind](where, holdout)


def _open_pocket(name: str, holdout: int | None) -> Dataset:
    del holdout  # The bundled sets come with their own test parts.
    # Imported late: the bundled world is itself made of this package's data sets.
    from common.pocket.datasets import open_pocket

    return open_pocket(name)


def _open_memory(name: str, holdout: int | None) -> Dataset:
    dataset = kept(name)
    if len(dataset.test):
        return dataset
    train, test = hold_out(dataset.train, dataset.classnames, holdout, dataset.name)
    return replace(dataset, train=train, test=test)


OPENERS: dict[str, Callable[[str, int | None], OpenedDataset]] = {
    "pocket": _open_pocket,
    "folder": open_folder,
    "coop": open_coop,
    "tfds": open_tfds,
    "hf": open_hugging_face,
    "features": open_features,
    MEMORY: _open_memory,
}
