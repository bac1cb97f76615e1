"""Photos and features, and the layouts of data sets."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.fuzz_readers.reader import Reader, picture, write


def _make_features(folder: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    labels, names = np.array([0, 0, 0, 1, 1, 1]), np.array(["cat", "big dog"])
    np.savez(folder / "whole.npz", features=rows, labels=labels, classnames=names)


def _features(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"features:{folder / 'whole.npz'}", holdout=1)


def _make_photos(folder: Path) -> None:
    from common.photos.formats import suffixes

    for suffix in sorted(suffixes() & {".png", ".jpg", ".webp", ".gif", ".bmp", ".tif", ".avif"}):
        picture(folder / f"a{suffix}")
    picture(folder / "grey.png")
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "Maker", 0x0132: "2020:01:01 00:00:00", 0x011A: 72.0})
    picture(folder / "turned.jpg", exif=exif)
    picture(folder / "turned.png", exif=exif)


def _photos(folder: Path) -> Any:
    from common.data.splits import ImageSplit
    from common.photos.broken import errors_of
    from common.photos.photo import photo_file

    files = sorted(folder.iterdir())
    labels = np.zeros(len(files), np.int32)
    split = ImageSplit(labels, tuple(map(str, files)), tuple(map(photo_file, files)))
    for error in errors_of(split.load, range(len(files))):
        raise error


def _make_folder(folder: Path) -> None:
    for name in ("a cat", "dog"):
        for number in range(3):
            picture(folder / "photos" / name / f"{number}.png", number)


def _folder(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"folder:{folder / 'photos'}", holdout=1).train.load(0)


def _make_coop(folder: Path) -> None:
    rows = [[f"{name}_{n}.png", label, name] for label, name in enumerate("ab") for n in range(3)]
    for number, (path, *_) in enumerate(rows):
        picture(folder / "images" / path, number)
    parts = {part: rows[at::3] for at, part in enumerate(("train", "val", "test"))}
    write(folder / "split_zhou_X.json", parts)
    data = [{"impath": f"./x/{rows[0][0]}", "label": 0, "classname": "a"}]
    write(folder / "shots.json", {"train": {"indices": [0], "data": data}})


def _coop(folder: Path) -> Any:
    from common.data import open_dataset
    from common.data.coop import few_shot_from_file

    dataset = open_dataset(f"coop:{folder}")
    return few_shot_from_file(dataset.train, folder / "shots.json")


def _make_imagenet(folder: Path) -> None:
    for part in ("train", "val"):
        for number, name in enumerate(("n01", "n02")):
            picture(folder / "imagenet/images" / part / name / "a.png", number)
    (folder / "imagenet/classnames.txt").write_text("n01 tench\nn02 great white shark\n")


def _imagenet(folder: Path) -> Any:
    from common.data import open_dataset

    return open_dataset(f"coop:{folder / 'imagenet'}")


READERS = {
    "features": Reader(_make_features, _features),
    "photos": Reader(_make_photos, _photos),
    "folder": Reader(_make_folder, _folder),
    "coop": Reader(_make_coop, _coop, "*.json"),
    "imagenet_names": Reader(_make_imagenet, _imagenet, "**/*.txt"),
}
