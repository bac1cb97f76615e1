"""A folder of features: one file a picture in a folder a class, as MC-TI's authors keep them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from common.data.checks import require_features
from common.data.class_folders import class_folders
from common.data.dataset import FeatureDataset
from common.data.places import entries, is_file, is_folder
from common.data.selection import hold_out
from common.data.splits import FeatureSplit
from common.errors import UserError
from common.text import counted, some
from common.weights.torch_archive import unpickle_torch_archive

MIRRORED = "_flip"
"""Ends the name of the file of a picture's mirror."""

_SUFFIX = ".pt"


def open_feature_folder(root: Path, holdout: int | None) -> FeatureDataset:
    """Open `ROOT/class/picture.pt`, each a tensor `[1, D]` or `[D]`.

    The mirror of `picture.pt` is `picture_flip.pt`; all pictures have one, or none has. Where
    there are no folders `train` and `test` of such classes, the last `holdout` pictures of each
    class become test.

    Raises:
      UserError: A class has no features, a mirror lacks its picture or a picture its mirror, or a
        file is not one feature.
    """
    parts = [root / "train", root / "test"]
    if all(is_folder(part) for part in parts):
        names, others = (tuple(class_folders(part)) for part in parts)
        differing = set(others) - set(names), set(names) - set(others)
        for part, lacking in zip(parts, differing, strict=True):
            if lacking:
                raise UserError(
                    f"{part} lacks {some(sorted(lacking))}, and both parts must have the same "
                    "classes: add what is missing, or take it out of the other part."
                )
        train, test = (_read(part, names) for part in parts)
        return FeatureDataset(root.name, names, train, test)
    names = tuple(class_folders(root))
    train, test = hold_out(_read(root, names), names, holdout, str(root))
    return FeatureDataset(root.name, names, train, test)


def _read(root: Path, classnames: Sequence[str]) -> FeatureSplit:
    labels, pictures, mirrors = [], [], set()
    for label, name in enumerate(classnames):
        files = [file for file in entries(root / name) if file.suffix == _SUFFIX and is_file(file)]
        plain = [file for file in files if not file.stem.endswith(MIRRORED)]
        if not plain:
            raise UserError(f"{root / name} holds no features: it needs a PICTURE.pt for each.")
        mirrored = set(files) - set(plain)
        stems = {file.stem.removesuffix(MIRRORED) for file in mirrored}
        if lone := stems - {file.stem for file in plain}:
            raise UserError(
                f"{root / name} holds mirrors without their pictures: {some(sorted(lone))}; "
                f"add PICTURE.pt beside PICTURE{MIRRORED}.pt."
            )
        labels += [label] * len(plain)
        pictures += plain
        mirrors |= mirrored
    # A picture and its mirror stand at the same place of both.
    order = [file.with_name(f"{file.stem}{MIRRORED}{_SUFFIX}") for file in pictures]
    lacking = [file for file, mirror in zip(pictures, order, strict=True) if mirror not in mirrors]
    if mirrors and lacking:
        raise UserError(
            f"{root} has {counted(len(lacking), 'picture')} without a mirror, first {lacking[0]}: "
            f"add PICTURE{MIRRORED}.pt for each, or remove all mirrors."
        )
    return FeatureSplit(
        np.array(labels), _stacked(root, pictures), _stacked(root, order) if mirrors else None
    )


def _stacked(root: Path, files: Sequence[Path]) -> Float[np.ndarray, "b d"]:
    rows = [_feature(file) for file in files]
    widths = [len(row) for row in rows]
    for file, width in zip(files, widths, strict=True):
        if width != widths[0]:
            raise UserError(
                f"{file} holds {width} numbers and {files[0]} {widths[0]}: make all features with "
                "one CLIP."
            )
    return require_features(np.stack(rows), f"the features of {root}")


def _feature(file: Path) -> Float[np.ndarray, "d"]:
    content = unpickle_torch_archive(file)
    if not isinstance(content, np.ndarray) or content.shape[-1:] != (content.size,):
        raise UserError(f"{file} is not one feature: it must hold one tensor [1, D] or [D].")
    return content.reshape(-1)
