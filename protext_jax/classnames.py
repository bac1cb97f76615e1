"""Class names as CoOp spells them, of data sets whose own spelling differs.

Sources: `datasets/*.py` of CoOp for the rules; the class-name files of tensorflow-datasets 4.9 for
what they are applied to. A name that is clean already stays as it is.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from common.data import OpenedDataset, open_dataset
from common.data.coop_sets import identify
from common.data.selection import select_classes
from common.errors import UserError
from common.files import read_json
from common.names import readable
from common.protocols.corpus import match_texts
from common.text import some

EUROSAT = {
    "AnnualCrop": "Annual Crop Land",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "SeaLake": "Sea or Lake",
}
CALTECH = {
    "airplanes": "airplane",
    "faces": "face",
    "leopards": "leopard",
    "motorbikes": "motorbike",
}
CALTECH_DROPPED = ("background_google", "faces_easy")


def _caltech(name: str) -> str:
    return "" if name.lower() in CALTECH_DROPPED else CALTECH.get(name.lower(), name)


def _cars(name: str) -> str:
    """Put the year in front."""
    return re.sub(r"^(.*) (\d{4})$", r"\2 \1", name)


def _ucf(name: str) -> str:
    """Split CamelCase."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


def _sun(name: str) -> str:
    """Reverse the parts of the path, without the letter in front: /a/arch/indoor."""
    parts = re.sub(r"^/?[a-z]/", "", name).split("/")
    return " ".join(reversed(parts))


# An empty name drops the class.
CLEAN: dict[str, Callable[[str], str]] = {
    "eurosat": lambda name: EUROSAT.get(name, name),
    "caltech101": _caltech,
    "stanford_cars": _cars,
    "sun397": _sun,
    "ucf101": _ucf,
}
# The builders of tensorflow-datasets that test on the pictures that CoOp tests on.
SAME_TEST_SET = (
    "cars196",
    "imagenet2012",
    "imagenet_a",
    "imagenet_r",
    "imagenet_sketch",
    "imagenet_v2",
    "imagenet_v2/matched-frequency",
    "oxford_iiit_pet",
    "sun397/standard-part1-120k",
    "ucf101/ucf101_1",
)


def clean(dataset: str, name: str) -> str:
    """Return one name of a data set; empty for a class that CoOp leaves out."""
    rule = CLEAN.get(identify(dataset))
    return rule(name) if rule else name


def open_named(spec: str, holdout: int | None, names: str) -> OpenedDataset:
    """Open a data set with CoOp's class names.

    Args:
      spec: A dataset string.
      holdout: See `open_dataset`.
      names: A JSON file {spelled: wanted} that comes before all rules, e.g. for folders called by
        WordNet ids; or "".

    Raises:
      UserError: The data set or the file cannot be had.
    """
    dataset = open_dataset(spec, holdout=holdout)
    new_names = read_names(names) if names else {}
    key_of = match_texts(dataset.classnames, new_names, f"names={names}").keys
    spelled = [
        new_names[key_of[x]] if x in key_of else clean(dataset.name, x) for x in dataset.classnames
    ]
    labels = [label for label, name in enumerate(spelled) if name]
    if len(labels) < len(spelled):
        dataset = select_classes(dataset, labels)
    return dataclasses.replace(dataset, classnames=tuple(spelled[label] for label in labels))


def read_names(file: str) -> dict[str, str]:
    """Read the {spelled: wanted} of a names file.

    Raises:
      UserError: It is missing or holds something else.
    """
    names = read_json(Path(file).expanduser(), "give {spelled: wanted}")
    if not_texts := [name for name, value in names.items() if not isinstance(value, str)]:
        raise UserError(f"the names file {file} has no name for {not_texts[0]!r}: give it a text.")
    if empty := [name for name, value in names.items() if not readable(value)]:
        raise UserError(f"the names file {file} has an empty name for {empty[0]!r}: give it one.")
    return names


def check_names(file: str, classnames: Iterable[str]) -> list[str]:
    """Refuse a names file that gives none of the opened data sets' classes its name.

    Args:
      file: The file, or "".
      classnames: Of all data sets, as the file has renamed them.

    Returns:
      What of the file fits nothing, a line.

    Raises:
      UserError: All of it.
    """
    new_names, distinct = (read_names(file) if file else {}), set(classnames)
    idle = [spelled for spelled, name in new_names.items() if name not in distinct]
    if new_names and len(idle) == len(new_names):
        raise UserError(
            f"names={file} fits no class: it renames {some(idle)}, the classes are "
            f"{some(sorted(distinct))}; spell its keys as the data set does."
        )
    fits = f"{len(new_names) - len(idle)} of {len(new_names)} keys fit a class"
    return [f"names={file}: {fits}, not {some(idle)}."] if idle else []


def remark(spec: str) -> str:
    """Return a remark on a data set's test part; empty for none."""
    kind, _, name = spec.partition(":")
    builder = name.split(":")[0]
    if kind == "tfds" and identify(builder) and builder not in SAME_TEST_SET:
        return f"{spec} tests on other pictures than CoOp's split: its figures are not the paper's."
    if kind == "hf" and identify(builder.rpartition("/")[2]):
        return f"{spec} is not CoOp's split: its figures are not the paper's."
    return ""
