"""Data sets that are a folder of photos: PATH/class/photo or PATH/{train,test}/class/photo."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from common.data.class_folders import class_folders, loose_files, photos_in
from common.data.dataset import Dataset
from common.data.passed_over import PassedOver, merged
from common.data.places import folders, is_folder, local_path
from common.data.selection import hold_out
from common.data.splits import ImageSplit
from common.errors import UserError
from common.names import composed
from common.photos.photo import photo_file
from common.progress import say

# Usual names of the parts, in any capitalisation.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "val": ("val", "valid", "validation", "dev"),
}


def open_folder(path: str, holdout: int | None) -> Dataset:
    """Open a folder of photos; a sub-folder's name is its class's name.

    Classes and photos are numbered in natural order (`2` before `10`). Hidden files and those of
    operating systems are skipped; other files that are not photos are passed over and listed.

    Args:
      path: The folder. If it holds the folders `train` and `test` or `val` (or as `PARTS` calls
        them), these hold the classes; else it holds the classes itself. `val` is the test part
        where there is no other.
      holdout: Without a test part, how many photos at the end of each class become test.

    Raises:
      UserError: The folder or a class in it holds no photo, a class is too small to hold out
        from, or a test class was never trained on.
    """
    root = local_path(path)
    if not is_folder(root):
        raise UserError(f"the data folder {path!r} does not exist: give the folder of classes.")
    parts = find_parts(root)
    source = parts.get("train", root)
    classes = class_folders(source)
    classnames = tuple(classes)
    # The classes of all parts are looked at before the photos of any, of which there are many.
    others = {x: _of_classes(parts[x], classnames) for x in ("test", "val") if x in parts}
    passed_over = [*_beside(root, parts)]
    train = _split(source, classes, classnames, passed_over)
    splits: dict[str, ImageSplit] = {
        part: _split(parts[part], others[part], classnames, passed_over) for part in others
    }
    if "test" not in splits and "val" in splits:
        say(f"{root} has no test part with classes: its folder {parts['val'].name!r} is tested on.")
        splits["test"] = splits.pop("val")
    if "test" not in splits:
        train, splits["test"] = hold_out(train, classnames, holdout, str(root))
    name = root.resolve().name
    return Dataset(name, classnames, train, **splits, passed_over=merged(passed_over))


def find_parts(root: Path) -> dict[str, Path]:
    """Return the folders of the parts train, test and val; none if `root` holds the classes.

    Raises:
      UserError: The parts hold photos of no class, or a part is there twice.
    """
    listed = folders(root)
    parts: dict[str, Path] = {}
    for part, names in PARTS.items():
        for folder in listed:
            if folder.name.lower() in names and parts.setdefault(part, folder) != folder:
                raise UserError(
                    f"{root} holds both {parts[part].name!r} and {folder.name!r}: leave one of "
                    "them there."
                )
    if "train" not in parts or len(parts) < 2:
        return {}
    labelled = {part: folder for part, folder in parts.items() if folders(folder)}
    if "train" in labelled:
        return labelled
    if len(listed) > len(parts):  # They are classes like the others.
        return {}
    raise UserError(
        f"{parts['train']} holds no class folders: a photo of a part lies at "
        f"{parts['train'].name}/CLASS/PHOTO."
    )


def _of_classes(part: Path, classnames: Sequence[str]) -> dict[str, Path]:
    """Return the folders of a part by the names of the training classes, in their order."""
    known = {composed(name): name for name in classnames}
    classes = {}
    for name, folder in class_folders(part).items():
        if composed(name) not in known:
            raise UserError(
                f"class {name!r} is in {part} but not among the training classes: add photos to "
                "train on, or take it out."
            )
        classes[known[composed(name)]] = folder
    return classes


def _beside(root: Path, parts: Mapping[str, Path]) -> Iterator[PassedOver]:
    """Yield the folders that are not parts."""
    for folder in folders(root) if parts else ():
        if folder not in parts.values():
            unlabelled = any(folder.name.lower() in names for names in PARTS.values())
            reason = "without class folders" if unlabelled else "no part of the data set"
            yield PassedOver("folder", 1, folder.name, reason)


def _split(
    root: Path,
    classes: Mapping[str, Path],
    classnames: Sequence[str],
    passed_over: list[PassedOver],
) -> ImageSplit:
    """Return the photos of one part; what is passed over is added to the list."""
    passed_over += loose_files(root)
    photos = []
    label_of = {name: label for label, name in enumerate(classnames)}
    for name, folder in classes.items():
        listed = photos_in(folder)
        passed_over += listed.passed_over
        photos += [(path, label_of[name]) for path in listed.paths]
    return split_of_files(root, photos)


def split_of_files(root: Path, photos: Sequence[tuple[Path, int]]) -> ImageSplit:
    """Return photos and their labels; a photo is called by its path below `root`."""
    return ImageSplit(
        labels=np.asarray([label for _, label in photos], dtype=np.int64),
        names=tuple(path.relative_to(root).as_posix() for path, _ in photos),
        pictures=tuple(photo_file(path) for path, _ in photos),
    )
