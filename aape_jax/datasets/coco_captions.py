"""COCO's captions as they are downloaded (cocodataset.org), of 2017 or 2014.

    FOLDER/annotations/captions_{train,val}2017.json
    FOLDER/{train,val}2017/000000000009.jpg

What is called test here is COCO's validation part, whose captions are public.
"""

from functools import partial
from pathlib import Path

from aape_jax.datasets.coco_files import (
    REMEDY,
    Captioned,
    Parts,
    captions_in,
    entries,
    photos,
    require_folder,
    require_once,
    require_there,
)
from common.data.places import is_file, local_path
from common.errors import UserError
from common.files import read_json

PARTS = {"train": "train", "test": "val"}
YEARS = ("2017", "2014")


def open_coco(where: str) -> Parts:
    """Find the photos of both parts and their captions; each file is read with its part.

    Args:
      where: FOLDER, or FOLDER,YEAR where both years lie there.

    Raises:
      UserError: A file is missing or, later, damaged, or a photo is absent.
    """
    folder, year = _year(where)
    require_there(_file(folder, published, year) for published in PARTS.values())
    return partial(_read, folder, year)


def _read(folder: Path, year: str, part: str) -> Captioned:
    file, root = _file(folder, PARTS[part], year), folder / f"{PARTS[part]}{year}"
    require_folder(root, "COCO's photos")
    content = read_json(file, REMEDY)
    listed = entries(content, file, "images", ("id", "file_name"))
    ids, names = listed.ids("id"), listed.texts("file_name")
    require_once(ids, "image", file)
    captions = captions_in(content, file)
    if unknown := captions.keys() - set(ids):
        raise UserError(
            f"{file} has captions of {len(unknown)} images that it does not list, such as "
            f"{min(unknown, key=str)}: download it again."
        )
    split = photos([root / name for name in names], file)
    return split, tuple(captions.get(key, ()) for key in ids)


def _year(where: str) -> tuple[Path, str]:
    """Return the folder, and the year of the files in it."""
    name, comma, year = where.rpartition(",")
    if comma and year in YEARS:
        return local_path(name), year
    folder = local_path(where)
    years = [year for year in YEARS if is_file(_file(folder, "train", year))]
    if len(years) > 1:
        raise UserError(f"{folder} holds COCO of {' and '.join(years)}: write coco:{where},2017.")
    if not years:
        raise UserError(
            f"there is neither {_file(folder, 'train', '2017')} nor that of 2014: unpack COCO's "
            "annotations_trainval2017.zip there."
        )
    return folder, years[0]


def _file(folder: Path, published: str, year: str) -> Path:
    return folder / "annotations" / f"captions_{published}{year}.json"
