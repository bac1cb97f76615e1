"""Choosing k examples of each class."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from common.data.dataset import ImageSplit, Split, class_counts
from common.errors import UserError


def few_shot(split: Split, shots: int, seed: int) -> Split:
    """Draws `shots` examples of each class without replacement, class by class.

    A class that has fewer keeps all it has, so `shots` is nominal (`shortfall` tells which).
    The draw of a class depends on the seed, the label and the number of its examples alone, and
    fewer shots of one seed are the beginning of more shots.
    """
    if shots < 1:
        raise UserError(f"shots={shots} leaves nothing to learn from: give 1 or more.")
    if seed < 0:
        raise UserError(f"seed={seed} is negative: give 0 or more.")
    chosen = []
    for label in np.unique(split.labels):
        rows = np.flatnonzero(split.labels == label)
        order = np.random.default_rng((seed, int(label))).permutation(len(rows))
        chosen.extend(rows[order[:shots]])
    return split.take(chosen)


def shortfall(split: Split, shots: int, classnames: Sequence[str]) -> dict[str, int]:
    """Classes with fewer than `shots` examples, and how many they have."""
    counts = class_counts(split.labels, len(classnames))
    return {
        name: int(n) for name, n in zip(classnames, counts, strict=True) if n < shots
    }


def few_shot_from_file(split: ImageSplit, path: Path | str, part: str = "train") -> ImageSplit:
    """The rows that a CoOp few-shot index file names, so that a published draw can be repeated.

    The file (JSON, or gzipped JSON) holds `{part: {"indices": [...], "data": [{"impath": ...,
    "label": ...}, ...]}}`, where the indices count the rows of the split JSON's list. This is the
    form in which linzhiqiu/cross_modal_adaptation publishes its draws.

    Raises:
      UserError: No such file or part, or the file belongs to another split.
    """
    path = Path(path)
    entry = read_json(path, "few-shot index file").get(part)
    if not isinstance(entry, dict) or "indices" not in entry or "data" not in entry:
        raise UserError(f"{path} holds no {part!r} part with 'indices' and 'data'.")
    for row, listed in zip(entry["indices"], entry["data"], strict=True):
        found = row < len(split) and (split.names[row], int(split.labels[row]))
        if not found or not _same(found, listed["impath"], listed["label"]):
            raise UserError(
                f"{path} calls row {row} {listed['impath']!r}, which this data set does not: "
                "the index file was made for another split."
            )
    return split.take(entry["indices"])


def _same(found: tuple[str, int], impath: str, label: int) -> bool:
    name, own_label = found
    return own_label == label and f"/{impath}".endswith(f"/{name}")


def read_json(path: Path, what: str) -> dict:
    """Reads a JSON object from `path`, gzipped when the name ends in `.gz`.

    Raises:
      UserError: The file is absent, damaged or holds something else.
    """
    try:
        raw = path.read_bytes()
        content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"the {what} {path} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise UserError(f"the {what} {path} holds no JSON object.")
    return content


@dataclass(frozen=True, eq=False)
class ClassRows:
    """Rows of each class, padded to the largest class.

    Attributes:
      rows: Row numbers; entries beyond `counts` repeat the class's first row.
      counts: How many rows each class really has.
    """

    rows: Int[np.ndarray, "k s"]
    counts: Int[np.ndarray, "k"]


def class_rows(labels: Int[np.ndarray, "b"], classes: int) -> ClassRows:
    """Groups rows by class, for drawing `rows[k, floor(u * counts[k])]` on the device.

    Raises:
      UserError: A class has no rows.
    """
    counts = class_counts(labels, classes)
    if not counts.all():
        raise UserError(f"class number {int(np.argmin(counts))} has no examples: add some.")
    rows = np.empty((classes, counts.max()), dtype=np.int64)
    for label in range(classes):
        own = np.flatnonzero(labels == label)
        rows[label] = own[0]
        rows[label, : len(own)] = own
    return ClassRows(rows=rows, counts=counts)
