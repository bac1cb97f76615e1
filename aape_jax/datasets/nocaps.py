"""NoCaps (arXiv 1812.08658): test images with captions by domain, for models trained on COCO.

    nocaps:FILE.json,FOLDER,TRAIN       all of its 4,500 validation images
    nocaps_in:... nocaps_near:... nocaps_out:...    those of one domain

FILE is nocaps_val_4500_captions.json, FOLDER holds the photos, and TRAIN is the captioned data set
that is learned from, e.g. karpathy:FILE.json,FOLDER; NoCaps itself has no training images.
"""

from aape_jax.datasets.coco_files import (
    REMEDY,
    Captioned,
    captions_in,
    entries,
    photos,
    require_folder,
    require_once,
)
from common.data.places import local_path
from common.errors import UserError
from common.files import read_json

DOMAINS = {
    "nocaps": ("in-domain", "near-domain", "out-domain"),
    "nocaps_in": ("in-domain",),
    "nocaps_near": ("near-domain",),
    "nocaps_out": ("out-domain",),
}


def training_set(kind: str, where: str) -> str:
    """Return the string of the data set to learn from.

    Raises:
      UserError: `where` names none.
    """
    return _paths(kind, where)[2]


def validation(kind: str, where: str) -> Captioned:
    """Return the photos of a key of `DOMAINS`, and the captions of each.

    Raises:
      UserError: The file is missing or damaged, or has no such images; a photo is absent.
    """
    name, folder, _ = _paths(kind, where)
    file, root = local_path(name), local_path(folder)
    require_folder(root, "NoCaps' photos")
    content = read_json(file, REMEDY)
    listed = entries(content, file, "images", ("id", "file_name", "domain"))
    ids, names = listed.ids("id"), listed.texts("file_name")
    require_once(ids, "image", file)
    domains = listed.texts("domain")
    rows = [row for row, domain in enumerate(domains) if domain in DOMAINS[kind]]
    if not rows:
        raise UserError(
            f"{file} has no images of the domain {DOMAINS[kind][0]!r}: give NoCaps' file."
        )
    captions = captions_in(content, file)
    split = photos([root / names[row] for row in rows], file)
    return split, tuple(captions.get(ids[row], ()) for row in rows)


def _paths(kind: str, where: str) -> list[str]:
    parts = where.split(",", 2)
    if len(parts) < 3:
        raise UserError(
            f"'{kind}:{where}' needs a file, a folder and the data set that is learned from: "
            f"{kind}:FILE.json,FOLDER,karpathy:FILE.json,FOLDER."
        )
    return parts
