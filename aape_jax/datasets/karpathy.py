"""Karpathy's splits of COCO, Flickr8k and Flickr30k: one JSON file of all parts' captions.

{"images": [{"split": "train", "filename": "1.jpg", "sentences": [{"raw": "..."}]}, ...]}
"""

import itertools
from pathlib import Path

from aape_jax.datasets.coco_files import (
    REMEDY,
    Captioned,
    Parts,
    entries,
    file_and_folder,
    photos,
    require_once,
)
from aape_jax.datasets.worded import worded
from common.errors import UserError
from common.files import read_json
from common.records import Record

PARTS = {"train": ("train", "restval"), "test": ("test",)}


def open_karpathy(where: str) -> Parts:
    """Read the captions of both parts, and find their photos later.

    Args:
      where: FILE.json,FOLDER.

    Raises:
      UserError: The file is missing, damaged or of another kind, or, later, a photo is absent.
    """
    file, root = file_and_folder("karpathy", where, "COCO's photos")
    content = read_json(file, REMEDY)
    listed = entries(content, file, "images", ("split", "filename", "sentences"))
    parts = listed.texts("split")

    def images(*wanted: str) -> dict[str, Record]:
        rows = [listed.record(row) for row, part in enumerate(parts) if part in wanted]
        names = [str(Path(x.text("filepath", default="")) / x.text("filename")) for x in rows]
        require_once(names, "image", file)
        return dict(zip(names, rows, strict=True))

    images(*itertools.chain(*PARTS.values()))  # None is in both parts.

    def read(part: str) -> Captioned:
        wanted = PARTS[part]
        if not (found := images(*wanted)):
            raise UserError(
                f"{file} has no images of the part {part!r}: give Karpathy's file, whose images "
                f"have a 'split' such as {wanted[0]!r}."
            )
        rows = ((x, s.text("raw")) for x in found for s in found[x].records("sentences"))
        captions = worded(rows, file)
        split = photos([root / image for image in found], file)
        return split, tuple(captions.get(image, ()) for image in found)

    return read
