"""Data sets that CoOp reads without a split JSON: FGVC Aircraft, ImageNet and its variants.

Source: `DATASETS.md` and `datasets/{fgvc_aircraft,imagenet*}.py` of CoOp.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.data.class_folders import photos_in
from common.data.dataset import Dataset
from common.data.folder import split_of_files
from common.data.passed_over import PassedOver, merged
from common.data.places import folders, is_file, is_folder
from common.data.splits import ImageSplit
from common.errors import UserError
from common.files import read_text
from common.text import counted

NAMES_FILE, VARIANTS_FILE = "classnames.txt", "variants.txt"

_SORT = "put the photos of each class into a folder that has the class's id"
_ID = re.compile(r"n\d+(?![^\s,:;])")
_WITH_ID = re.compile(r"(\S+?)[\s,:;]+(\S.*)")
_NUMBERED = re.compile(r"\d+[\s,:;]+(\S.*)")


def open_without_split(root: Path) -> Dataset | None:
    """Open such a folder; None if it is neither.

    Raises:
      UserError: A listed photo, class or folder is missing.
    """
    if is_file(root / NAMES_FILE):
        return _open_imagenet(root)
    if is_file(root / VARIANTS_FILE):
        return _open_aircraft(root)
    return None


def _open_aircraft(root: Path) -> Dataset:
    """Open FGVC Aircraft, whose classes are in `variants.txt`, photos in `images_variant_*.txt`."""
    classnames = tuple(_lines(root / VARIANTS_FILE))
    label_of = {name: label for label, name in enumerate(classnames)}
    if len(label_of) < len(classnames):
        raise UserError(f"{root / VARIANTS_FILE} names a class twice: take one of them out.")

    def split(part: str) -> ImageSplit:
        file = root / f"images_variant_{part}.txt"
        rows = [line.partition(" ")[::2] for line in _lines(file)]
        if unknown := [variant for _, variant in rows if variant.strip() not in label_of]:
            raise UserError(f"{file} names {unknown[0]!r}, which {VARIANTS_FILE} does not.")
        photos = [
            (root / "images" / f"{name}.jpg", label_of[variant.strip()]) for name, variant in rows
        ]
        if missing := [path for path, _ in photos if not is_file(path)]:
            raise UserError(
                f"{file} names {counted(len(missing), 'photo')} that cannot be found, first "
                f"{missing[0]}: add what is missing."
            )
        return split_of_files(root, photos)

    return Dataset(root.resolve().name, classnames, split("train"), split("test"), val=split("val"))


def _open_imagenet(root: Path) -> Dataset:
    """Open ImageNet: `classnames.txt` names the classes, folders have their ids as names.

    ImageNet has `images/{train,val}`, and `val` is the test part. A variant has one folder of
    classes, which is the test part, and nothing to learn from; ImageNet-V2's are called by the
    number of the id. A variant of fewer classes keeps those that it shows.
    """
    readings = read_names(root / NAMES_FILE)
    passed_over: list[PassedOver] = []
    parts = {part: root / "images" / part for part in ("train", "val")}
    if all(is_folder(path) for path in parts.values()):
        classes = _classes(parts["train"], readings)
        for folder in parts.values():  # Before the photos of any are listed: there are a million.
            _require_folders(folder, classes)
        train, test = (_class_folders(root, parts[x], classes, passed_over) for x in parts)
        name, classnames = root.resolve().name, tuple(classes.values())
        return Dataset(name, classnames, train, test, passed_over=merged(passed_over))
    subfolders = folders(root)
    if len(subfolders) != 1:
        raise UserError(
            f"{root} has {len(subfolders)} folders beside {NAMES_FILE}: it needs one that holds "
            "the classes, or images/train and images/val."
        )
    classes = _classes(subfolders[0], readings)
    test = _class_folders(root, subfolders[0], classes, passed_over)
    return Dataset(
        name=root.resolve().name,
        classnames=tuple(classes.values()),
        train=test.take([]),
        test=test,
        passed_over=merged(passed_over),
    )


def read_names(file: Path) -> list[dict[str, str]]:
    """Return what the lines may mean, the most likely first: names by what folders are called.

    A line is "n01440764 tench", perhaps with a tab, comma or colon between, or with a number, as
    in "n01440764 449 tench"; or a name alone, which is then its folder's as well.

    Raises:
      UserError: A line repeats another or, behind an id, has no name.
    """
    lines = _lines(file)
    readings = []
    behind_ids = [_WITH_ID.fullmatch(line) for line in lines]
    if all(behind_ids):
        ids, names = [x[1] for x in behind_ids], [x[2] for x in behind_ids]
        numbered = [_NUMBERED.fullmatch(name) for name in names]
        if all(numbered):
            names = [x[1] for x in numbered]
        readings.append((ids, names))
    elif _ID.match(lines[0]):
        line = lines[[x is None for x in behind_ids].index(True)]
        raise UserError(f'{file} has the line {line!r}, which is not such as "n01440764 tench".')
    if not _ID.match(lines[0]):
        readings.append((lines, lines))
    sound = [(ids, names) for ids, names in readings if len(set(ids)) == len(ids)]
    if not sound:
        ids, _ = readings[0]
        twice = next(x for number, x in enumerate(ids) if x in ids[:number])
        raise UserError(f"{file} has {twice!r} twice: take one of the lines out.")
    return [dict(zip(*reading, strict=True)) for reading in sound]


def _classes(folder: Path, readings: list[dict[str, str]]) -> dict[str, str]:
    """Return the class name of each folder, in the order of the file.

    A folder is called by its class's id, or by the id's number: WordNet's are counted in order.
    """
    present = {path.name for path in folders(folder)}
    if not present:
        raise UserError(f"{folder} holds no class folders: {_SORT}.")
    unknown = []
    for names in readings:
        of_folder = {name: name for name in names}
        counted = sorted(names) if all(map(_ID.fullmatch, names)) else names
        of_folder |= {str(number): name for number, name in enumerate(counted)}
        if present <= set(of_folder):
            place = {name: number for number, name in enumerate(names)}
            ordered = sorted(present, key=lambda x: place[of_folder[x]])
            return {x: names[of_folder[x]] for x in ordered}
        unknown.append(min(present - set(of_folder)))
    raise UserError(
        f"{folder} has a class {unknown[0]!r}, which {NAMES_FILE} does not name: give a line such "
        'as "n01440764 tench" for each folder.'
    )


def _require_folders(folder: Path, names: Iterable[str]) -> None:
    present = {path.name for path in folders(folder)}
    if not present:
        raise UserError(f"{folder} holds no class folders: {_SORT}.")
    if missing := [name for name in names if name not in present]:
        raise UserError(f"{folder} has no folder of the class {missing[0]!r}: {_SORT}.")


def _class_folders(
    root: Path, folder: Path, classes: Mapping[str, str], passed_over: list[PassedOver]
) -> ImageSplit:
    rows = []
    for label, name in enumerate(classes):
        photos = photos_in(folder / name)
        passed_over += photos.passed_over
        rows += [(photo, label) for photo in photos.paths]
    return split_of_files(root, rows)


def _lines(file: Path) -> list[str]:
    lines = [line.strip() for line in read_text(file, "give a line for each").splitlines()]
    if not any(lines):
        raise UserError(f"{file} is empty: give a line for each class or photo.")
    return [line for line in lines if line]
