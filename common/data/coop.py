"""Data sets in CoOp's layout: photos, and a split JSON that says which of them are what."""

from pathlib import Path

import numpy as np

from common.data.coop_layouts import open_without_split
from common.data.dataset import Dataset
from common.data.places import entries, folders, is_file, is_folder, local_path
from common.data.selection import hold_out
from common.data.splits import ImageSplit
from common.errors import UserError
from common.files import read_json
from common.photos.photo import photo_file
from common.records import Record
from common.text import quoted, some


def open_coop(path: str, holdout: int | None) -> Dataset:
    """Open a folder with a `split*.json`, or that JSON itself; or one of `coop_layouts`.

    The JSON holds `{"train": [[photo, label, classname], ...], "val": ..., "test": ...}`; rows
    keep its order, so CoOp's few-shot index files address them. `val` may be missing, and if
    `test` is, `holdout` photos at the end of each class become test. The photos lie relative to
    the JSON's folder or to one of its sub-folders.

    Raises:
      UserError: No or several split files, a malformed one, or photos that are not there.
    """
    location = local_path(path)
    if not _split_files(location) and (dataset := open_without_split(location)):
        return dataset
    file = _split_file(location)
    content = read_json(file, "give CoOp's split file")
    rows = {part: _rows(file, part, content[part]) for part in PARTS if content.get(part)}
    if "train" not in rows:
        raise UserError(
            f"the split file {file} lists no 'train' photos: give [[path, label, classname], ...] "
            f"under 'train' (it holds {some(content)})."
        )
    classnames = _classnames(file, [row for part in rows.values() for row in part])
    root = _image_root(file, rows["train"][0][0])
    splits = {part: _split(root, part_rows) for part, part_rows in rows.items()}
    if "test" not in splits:
        halves = hold_out(splits["train"], classnames, holdout, str(file))
        splits["train"], splits["test"] = halves
    return Dataset(file.resolve().parent.name, classnames, **splits)


PARTS = ("train", "val", "test")


def few_shot_from_file(split: ImageSplit, path: Path | str, part: str = "train") -> ImageSplit:
    """Return the rows that a CoOp few-shot index file names: a published draw, repeated.

    The file (JSON, or gzipped JSON) holds `{part: {"indices": [...], "data": [{"impath": ...,
    "label": ...}, ...]}}`, where the indices count the rows of the split JSON's list. This is
    the form in which linzhiqiu/cross_modal_adaptation publishes its draws.

    Raises:
      UserError: No such file or part, or the file belongs to another split.
    """
    path = Path(path)
    remedy = "give a few-shot index file"
    content = read_json(path, remedy).get(part)
    if not isinstance(content, dict) or "indices" not in content or "data" not in content:
        raise UserError(f"{path} holds no {part!r} part with 'indices' and 'data': {remedy}.")
    entry = Record(content, f"{str(path)!r}", remedy, f"{part}.")
    indices, data = entry.integers("indices"), list(entry.records("data"))
    if len(indices) != len(data):
        raise UserError(f"{path} has {len(indices)} indices and {len(data)} data: {remedy}.")
    for row, datum in zip(indices, data, strict=True):
        impath, label = datum.text("impath"), datum.integer("label")
        photo = row < len(split) and (split.names[row], int(split.labels[row]))
        if not photo or not _same(photo, impath, label):
            raise UserError(
                f"{path} calls row {row} {impath!r}, which this data set does not: "
                "the index file was made for another split."
            )
    return split.take(indices)


def _same(photo: tuple[str, int], impath: str, label: int) -> bool:
    name, photo_label = photo
    return photo_label == label and f"/{impath}".endswith(f"/{name}")


def _split_file(path: Path) -> Path:
    if is_file(path):
        return path
    if not is_folder(path):
        raise UserError(f"{str(path)!r} does not exist: give a folder with CoOp's split JSON.")
    files = _split_files(path)
    if not files:
        raise UserError(f"the folder {path} holds no split*.json: give CoOp's layout.")
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise UserError(f"the folder {path} holds several split files ({names}): name one.")
    return files[0]


def _split_files(path: Path) -> list[Path]:
    if not is_folder(path):
        return []
    return [
        entry
        for entry in entries(path)
        if entry.name.startswith("split") and entry.name.endswith((".json", ".json.gz"))
    ]


def _rows(file: Path, part: str, content: object) -> list[tuple[str, int, str]]:
    rows = content if isinstance(content, list) else [content]
    for row in rows:
        match row:
            case [str(), int(label), str()] if label >= 0 and not isinstance(label, bool):
                continue
        raise UserError(
            f"the split file {file} lists {quoted(row, 30)} in {part!r}, "
            "which is not [relative path, label, classname]."
        )
    return [(path, label, name) for path, label, name in rows]


def _classnames(file: Path, rows: list[tuple[str, int, str]]) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for _, label, name in rows:
        if names.setdefault(label, name) != name:
            raise UserError(
                f"the split file {file} calls label {label} both {names[label]!r} and {name!r}."
            )
    missing = next((label for label in range(len(names)) if label not in names), None)
    if missing is not None:
        raise UserError(f"the split file {file} numbers its classes with a gap at {missing}.")
    return tuple(names[label] for label in range(len(names)))


def _image_root(file: Path, first: str) -> Path:
    folder = file.parent
    for root in (folder, *folders(folder)):
        if is_file(root / first):
            return root
    raise UserError(
        f"the photo {first!r} of {file} lies neither in {folder} nor in a sub-folder of it: "
        "put the photos there."
    )


def _split(root: Path, rows: list[tuple[str, int, str]]) -> ImageSplit:
    missing = [path for path, _, _ in rows if not is_file(root / path)]
    if missing:
        raise UserError(
            f"{len(missing)} listed photos are not in {root}, the first {missing[0]!r}: add them, "
            "or take them off the list."
        )
    return ImageSplit(
        labels=np.asarray([label for _, label, _ in rows], dtype=np.int64),
        names=tuple(path for path, _, _ in rows),
        pictures=tuple(photo_file(root / path) for path, _, _ in rows),
    )
