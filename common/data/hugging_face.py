"""Data sets of Hugging Face's library `datasets`: of the hub, or a folder in its layouts.

    hf:OWNER/NAME, hf:OWNER/NAME:CONFIG      a data set of the hub
    hf:PATH, hf:PATH:CONFIG                  parquet files, or photos in folders by class

No code of a data set is run; library versions that could are refused.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Int

from common.damage import cause
from common.data.dataset import Dataset
from common.data.folder import PARTS
from common.data.label_names import require_same_names
from common.data.parts import dataset_of_parts
from common.data.places import is_folder, local_path
from common.data.splits import ImageSplit
from common.errors import UserError
from common.photos.photo import EncodedPhoto, photo_file
from common.text import quoted, some

IMAGE, LABEL = "image", "label"
"""The columns that are taken where several could be."""

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_TEXT = ("string", "large_string")
_HIDDEN = -1
_OLDEST = 5  # of the library


def open_hugging_face(where: str, holdout: int | None) -> Dataset:
    """Open an image classification set through `datasets.load_dataset`.

    Pictures stay encoded until they are needed. The parts are what `dataset_of_parts` makes of
    them. What comes from the hub is kept where the library keeps it (`HF_HOME`), and read from
    there without a network.

    Args:
      where: OWNER/NAME on the hub or the path of a folder, and perhaps `:CONFIG`.
      holdout: Examples per class to test on where the set has no other part for that.

    Raises:
      UserError: `datasets` is not installed or cannot provide the set, or the set is not
        labelled pictures.
    """
    spec = f"hf:{where}"
    datasets = _library(spec)
    source, config, name = _address(where)
    tables = _parts(spec, _load(datasets, spec, source, config))
    features = tables["train"].features
    image = _image_column(datasets, spec, features)
    label = _label_column(datasets, spec, features)
    classnames = tuple(
        features[label].names
        if isinstance(features[label], datasets.ClassLabel)
        else sorted({text for text in _values(tables["train"], label) if text is not None})
    )
    if is_folder(source) and isinstance(features[label], datasets.ClassLabel):
        require_same_names(datasets, source, config, label, classnames)
    encoded = datasets.Image(decode=False)
    parts = {
        part: _split(
            f"{spec}/{part}",
            table.select_columns(image).cast_column(image, encoded),
            _labels(f"{spec}/{part}", _values(table, label), classnames),
        )
        for part, table in tables.items()
    }
    return dataset_of_parts(name, spec, classnames, parts, holdout)


def _library(spec: str) -> ModuleType:
    """Return the library; one that would run the code of a data set is refused."""
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{spec} needs datasets: pip install datasets.") from error
    if int(datasets.__version__.partition(".")[0]) < _OLDEST:
        raise UserError(
            f"{spec} needs datasets {_OLDEST} or later, not {datasets.__version__}: "
            "pip install -U datasets."
        )
    return datasets


def _address(where: str) -> tuple[str, str, str]:
    """Return what the library is asked for, a configuration or nothing, and a name for tables.

    Raises:
      UserError: It is neither a folder nor like a name on the hub.
    """
    whole = is_folder(local_path(where))
    name, _, config = (where, "", "") if whole else where.partition(":")
    folder = local_path(name).resolve()
    if is_folder(folder):
        return str(folder), config, folder.name
    # The library takes a name of a file format, or any other path, for files around here.
    if not _HUB_NAME.fullmatch(name):
        raise UserError(
            f"hf:{where} is neither a folder nor OWNER/NAME on the Hugging Face hub: give one of "
            "them."
        )
    return name, config, where


def _load(datasets: ModuleType, spec: str, source: str, config: str) -> Mapping[str, Any]:
    """Return the tables of all parts."""
    try:
        return datasets.load_dataset(source, config or None)
    except Exception as error:  # The library raises many types, some of them its own.
        raise UserError(
            f"datasets cannot provide {spec} ({cause(error.__cause__ or error)}): check the name, "
            "give a configuration as hf:NAME:CONFIG, or open it once where there is a network."
        ) from error


def _parts(spec: str, tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables by the names of parts."""
    parts: dict[str, Any] = {}
    for part, names in PARTS.items():
        called = [split for split in tables if str(split).lower() in names]
        if len(called) > 1:
            raise UserError(f"{spec} has both {called[0]!r} and {called[1]!r}: take another set.")
        if called:
            parts[part] = tables[called[0]]
    if "train" not in parts:
        raise UserError(f"{spec} has no train part (it has {', '.join(map(str, tables))}).")
    return parts


def _image_column(datasets: ModuleType, spec: str, features: Mapping[str, Any]) -> str:
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    return _one_of(spec, images, IMAGE, "pictures", features)


def _label_column(datasets: ModuleType, spec: str, features: Mapping[str, Any]) -> str:
    """Return the column of numbers with names or else, if it is called `label`, of names."""
    kind = getattr(features.get(LABEL), "dtype", "")
    if kind in _TEXT:
        return LABEL
    labels = [name for name, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
    if LABEL in features and not labels:
        raise UserError(
            f"the column {LABEL!r} of {spec} holds {kind} without names of classes: cast it to "
            "ClassLabel, or write the names into it."
        )
    return _one_of(spec, labels, LABEL, "class labels", features)


def _one_of(spec: str, names: list[str], usual: str, what: str, columns: Iterable[str]) -> str:
    if usual in names:
        return usual
    if len(names) != 1:
        raise UserError(
            f"{spec} has {len(names)} columns of {what} and none of them is called {usual!r} (its "
            f"columns are {some(columns)}): rename the one to take, or give its type to it."
        )
    return names[0]


def _values(table: Any, column: str) -> list[Any]:
    return table.select_columns(column).with_format("arrow")[:].column(0).to_pylist()


def _labels(source: str, values: list[Any], classnames: tuple[str, ...]) -> Int[np.ndarray, "b"]:
    """Return labels as numbers; those that are absent were not published."""
    number_of = {name: number for number, name in enumerate(classnames)}
    numbers = [_HIDDEN if value is None else number_of.get(value, value) for value in values]
    if unknown := [value for value in numbers if isinstance(value, str)]:
        raise UserError(
            f"{source} has the class {quoted(unknown[0])}, which is not among the training "
            "classes: add photos to train on, or take it out."
        )
    return np.asarray(numbers, np.int64)


def _split(source: str, table: Any, labels: Int[np.ndarray, "b"]) -> ImageSplit:
    """Return the pictures of a table of one column; those in files of their own stay there."""
    pictures = tuple(
        EncodedPhoto(f"{source}/{row}", partial(_encoded, table, row))
        if path is None
        else photo_file(Path(path))
        for row, path in enumerate(_files(table))
    )
    return ImageSplit(labels, tuple(picture.name for picture in pictures), pictures)


def _files(table: Any) -> Iterator[str | None]:
    """Yield for each picture its file, or None if the table holds its bytes."""
    for chunk in table.with_format("arrow")[:].column(0).chunks:  # In one piece it would be copied.
        fields = dict(zip((field.name for field in chunk.type), chunk.flatten(), strict=True))
        inside = fields["bytes"].is_valid().to_pylist()
        for held, path in zip(inside, fields["path"].to_pylist(), strict=True):
            yield None if held else path


def _encoded(table: Any, row: int) -> bytes:
    picture = next(iter(table[row].values()))
    if picture is None or picture["bytes"] is None:
        raise ValueError("its row holds no picture")
    return picture["bytes"]
