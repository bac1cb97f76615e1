"""Splits a folder of photos into train, val and test, and writes the split as CoOp does.

    python -m common.split folder:PATH --out=FILE.json [--val=0.1] [--test=0.2] [--seed=0]

The photos stay where they are; `coop:FILE.json` is the data set from then on. Every class is split
alike. Near-duplicates, e.g. a photo in two sizes or mirrored, stay in one part, so that no test
photo has been learned from; groups that hold photos of two classes are named, for one is wrong.
The same seed gives the same split.

For example:

    python -m common.split folder:photos --out=photos/split.json
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import flags
from jaxtyping import Int

from common.data.class_folders import class_folders, photos_in
from common.data.near_duplicates import duplicate_groups
from common.data.places import is_folder, local_path
from common.data.splitting import stratified_parts
from common.errors import UserError, run_command
from common.files import atomic_write
from common.paths import as_output
from common.photos.photo import photo_file
from common.progress import say
from common.text import counted, shown

_KIND = "folder:"
_NAMED = 5


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("out", None, "The split file to write, .json.", required=True)
    flags.DEFINE_float("val", 0.1, "Share of each class for validation.", lower_bound=0)
    flags.DEFINE_float("test", 0.2, "Share of each class for the test.", lower_bound=0)
    flags.DEFINE_integer("seed", 0, "Of the draw.", lower_bound=0)


def read_classes(spec: str) -> tuple[list[Path], Int[np.ndarray, "n"], list[str]]:
    """Return the photos of a folder of classes, their labels and the classes' names.

    Raises:
      UserError: It is not `folder:PATH`, or PATH is not such a folder.
    """
    if not spec.startswith(_KIND):
        raise UserError(f"{shown(spec)} is not folder:PATH: only folders are split.")
    root = local_path(spec.removeprefix(_KIND))
    if not is_folder(root):
        raise UserError(f"the data folder {str(root)!r} does not exist: give a folder of classes.")
    classes = class_folders(root)
    photos = [photos_in(folder).paths for folder in classes.values()]
    labels = np.repeat(np.arange(len(photos)), [len(paths) for paths in photos])
    return [path for paths in photos for path in paths], labels, list(classes)


def parts_as_coop(
    parts: Mapping[str, Int[np.ndarray, "m"]],
    photos: Sequence[Path],
    labels: Int[np.ndarray, "n"],
    classnames: Sequence[str],
    folder: Path,
) -> dict[str, list[list]]:
    """Return CoOp's `{part: [[photo, label, class name], ...]}`, photos relative to a folder."""

    def row(index: int) -> list:
        photo = photos[index]
        path = os.path.relpath(photo, folder)
        if path.startswith(os.pardir):  # Out of a folder that is a link, it leads elsewhere.
            path = os.path.relpath(photo.parent.resolve() / photo.name, folder.resolve())
        return [Path(path).as_posix(), int(labels[index]), classnames[labels[index]]]

    return {part: [row(int(index)) for index in rows] for part, rows in parts.items() if len(rows)}


def main(argv: Sequence[str]) -> None:
    """Split the folder and write the file."""
    options = flags.FLAGS
    if len(argv) != 2:
        raise UserError("name one data set: python -m common.split folder:PATH --out=FILE.json.")
    train = 1 - options.val - options.test
    if train <= 0:
        raise UserError(
            f"--val={options.val} and --test={options.test} leave nothing to train on: their sum "
            "has to be below 1."
        )
    out = as_output(options.out, "--out", ".json")
    photos, labels, classnames = read_classes(argv[1])
    say(f"Comparing {counted(len(photos), 'photo')} of {counted(len(classnames), 'class')}…")
    groups = duplicate_groups([photo_file(path) for path in photos])
    shares = {"train": train, "test": options.test, "val": options.val}
    shares = {part: share for part, share in shares.items() if share}
    parts = stratified_parts(labels, groups, shares, options.seed)
    _tell(photos, labels, groups, parts)
    content = parts_as_coop(parts, photos, labels, classnames, out.parent)
    with atomic_write(out) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    say(f"wrote {out}; the data set is coop:{out}")


def _tell(
    photos: Sequence[Path],
    labels: Int[np.ndarray, "n"],
    groups: Int[np.ndarray, "n"],
    parts: Mapping[str, Int[np.ndarray, "m"]],
) -> None:
    """Print the size of the parts, the near-duplicates, and classes that lack a part."""
    say(", ".join(f"{part} {len(rows)}" for part, rows in parts.items()))
    numbers, counts = np.unique(groups, return_counts=True)
    several = numbers[counts > 1]
    if len(several):
        say(f"{len(several)} groups of near-duplicates stay together, {counts.max()} at most.")
    mixed = [
        rows
        for rows in (np.flatnonzero(groups == x) for x in several)
        if len(set(labels[rows])) > 1
    ]
    for rows in mixed[:_NAMED]:
        other = rows[labels[rows] != labels[rows[0]]][0]
        both = f"{photos[rows[0]]} and {photos[other]}"
        say(f"near-duplicates of two classes: {both}: check the labels.")
    if len(mixed) > _NAMED:
        say(f"and {len(mixed) - _NAMED} more such groups.")
    for part, rows in parts.items():
        absent = len(np.unique(labels)) - len(np.unique(labels[rows]))
        if absent:
            lacking = counted(absent, "class has", "classes have")
            say(f"{lacking} too few different photos for {part}.")


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
