"""Data sets that are a folder of photos: PATH/class/photo or PATH/{train,test}/class/photo."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.data.dataset import Dataset, ImageSplit, hold_out
from common.data.names import natural_key
from common.data.photos import photo_file
from common.errors import UserError

PHOTO_SUFFIXES = frozenset(
    f".{kind}"
    for kind in (
        "bmp",
        "gif",
        "jfif",
        "jpeg",
        "jpg",
        "pgm",
        "png",
        "ppm",
        "tif",
        "tiff",
        "webp",
    )
)


def open_folder(path: str, holdout: int) -> Dataset:
    """Opens a folder of photos; a sub-folder's name is its class's name.

    Classes and photos are numbered in natural order (`2` before `10`). Hidden files and files
    that are no photos are passed over.

    Args:
      path: The folder. If it holds both `train` and `test` (and maybe `val`), these hold the
        classes; else it holds the classes itself.
      holdout: Without a `test` folder, how many photos at the end of each class become test.

    Raises:
      UserError: The folder or a class in it holds no photo, a class is too small to hold out
        from, or a test class was never trained on.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise UserError(f"the data folder {path!r} does not exist: give the folder of classes.")
    if not ((root / "train").is_dir() and (root / "test").is_dir()):
        classnames = _classnames(root)
        train, test = hold_out(_split(root, classnames), classnames, holdout, str(root))
        return Dataset(root.resolve().name, classnames, train=train, test=test)

    classnames = _classnames(root / "train")
    return Dataset(
        name=root.resolve().name,
        classnames=classnames,
        train=_split(root / "train", classnames),
        test=_split(root / "test", classnames),
        val=_split(root / "val", classnames) if (root / "val").is_dir() else None,
    )


def _classnames(root: Path) -> tuple[str, ...]:
    names = (entry.name for entry in root.iterdir() if entry.is_dir())
    visible = sorted((name for name in names if not name.startswith(".")), key=natural_key)
    if not visible:
        raise UserError(f"the data folder {root} is empty: it needs one sub-folder per class.")
    return tuple(visible)


def _split(root: Path, classnames: tuple[str, ...]) -> ImageSplit:
    photos = []
    for name in _classnames(root):
        if name not in classnames:
            raise UserError(f"class {name!r} is in {root} but not among the training classes.")
        photos.extend((path, classnames.index(name)) for path in photos_in(root / name))
    return split_of_files(root, photos)


def split_of_files(root: Path, photos: Sequence[tuple[Path, int]]) -> ImageSplit:
    """Photos and their labels; a photo is called by its path below `root`."""
    return ImageSplit(
        labels=np.asarray([label for _, label in photos], dtype=np.int64),
        names=tuple(path.relative_to(root).as_posix() for path, _ in photos),
        pictures=tuple(photo_file(path) for path, _ in photos),
    )


def photos_in(folder: Path) -> list[Path]:
    """The photos of one class, in natural order.

    Raises:
      UserError: There are none.
    """
    photos = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in PHOTO_SUFFIXES
        and not entry.name.startswith(".")
        and entry.is_file()
    ]
    if not photos:
        raise UserError(
            f"the class folder {folder} holds no photos ({', '.join(sorted(PHOTO_SUFFIXES))}): "
            "add some or remove it."
        )
    return sorted(photos, key=lambda photo: natural_key(photo.name))
