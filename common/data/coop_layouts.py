"""Data sets that CoOp reads without a split JSON: FGVC Aircraft, ImageNet and its variants.

Source: `DATASETS.md` and `datasets/{fgvc_aircraft,imagenet*}.py` of CoOp.
"""

from pathlib import Path

from common.data.dataset import Dataset, ImageSplit
from common.data.folder import photos_in, split_of_files
from common.errors import UserError

NAMES_FILE, VARIANTS_FILE = "classnames.txt", "variants.txt"


def open_without_split(root: Path) -> Dataset | None:
    """Opens such a folder; None if it is neither.

    Raises:
      UserError: A listed photo, class or folder is missing.
    """
    if (root / NAMES_FILE).is_file():
        return _open_imagenet(root)
    if (root / VARIANTS_FILE).is_file():
        return _open_aircraft(root)
    return None


def _open_aircraft(root: Path) -> Dataset:
    """`variants.txt` names the classes, `images_variant_{train,val,test}.txt` the photos."""
    classnames = tuple(_lines(root / VARIANTS_FILE))
    label_of = {name: label for label, name in enumerate(classnames)}

    def split(part: str) -> ImageSplit:
        file = root / f"images_variant_{part}.txt"
        rows = [line.partition(" ")[::2] for line in _lines(file)]
        if unknown := [name for _, name in rows if name not in label_of]:
            raise UserError(f"{file} names {unknown[0]!r}, which {VARIANTS_FILE} does not.")
        found = [(root / "images" / f"{photo}.jpg", label_of[name]) for photo, name in rows]
        if missing := [path for path, _ in found if not path.is_file()]:
            raise UserError(f"{len(missing)} photos of {file} are missing, first {missing[0]}.")
        return split_of_files(root, found)

    return Dataset(root.resolve().name, classnames, split("train"), split("test"), val=split("val"))


def _open_imagenet(root: Path) -> Dataset:
    """`classnames.txt` holds "n01440764 tench" lines; folders are called by those ids.

    ImageNet has `images/{train,val}`, and `val` is the test part. A variant has one folder of
    classes, which is the test part, and nothing to learn from; ImageNet-V2's are called by the
    number of the line. A variant of fewer classes keeps those that it shows.
    """
    names = dict(line.split(" ", 1) for line in _lines(root / NAMES_FILE))
    parts = {part: root / "images" / part for part in ("train", "val")}
    if all(path.is_dir() for path in parts.values()):
        shown = _classes(parts["train"], names)
        train, test = (_class_folders(root, parts[part], shown) for part in ("train", "val"))
        return Dataset(root.resolve().name, tuple(names[x] for x in shown.values()), train, test)
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    if len(folders) != 1:
        raise UserError(
            f"{root} has {len(folders)} folders beside {NAMES_FILE}: it needs one that holds the "
            "classes, or images/train and images/val."
        )
    shown = _classes(folders[0], names)
    test = _class_folders(root, folders[0], shown)
    classnames = tuple(names[x] for x in shown.values())
    return Dataset(root.resolve().name, classnames, train=test.take([]), test=test)


def _classes(folder: Path, names: dict[str, str]) -> dict[str, str]:
    """Folder to id, in the order of the ids: a folder is called by its id or its number."""
    ids = list(names)
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    of_folder = {name: name for name in ids} | {str(number): x for number, x in enumerate(ids)}
    if unknown := sorted(found - set(of_folder)):
        raise UserError(f"{folder} has a class {unknown[0]!r}, which {NAMES_FILE} does not name.")
    if not found:
        raise UserError(f"{folder} holds no class folders.")
    return {name: of_folder[name] for name in sorted(found, key=lambda x: ids.index(of_folder[x]))}


def _class_folders(root: Path, folder: Path, shown: dict[str, str]) -> ImageSplit:
    rows = [
        (photo, label) for label, name in enumerate(shown) for photo in photos_in(folder / name)
    ]
    return split_of_files(root, rows)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}.") from None
    return [line.strip() for line in lines if line.strip()]
