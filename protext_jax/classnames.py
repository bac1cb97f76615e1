"""Class names as CoOp spells them, of data sets whose own spelling differs.

Sources: `datasets/*.py` of CoOp for the rules; the class-name files of tensorflow-datasets 4.9 for
what they are applied to. A name that is clean already stays as it is.
"""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from common.data import open_dataset
from common.data.dataset import select_classes
from common.errors import UserError
from common.files import read_json
from protext_jax.types import AnyDataset

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
    """The year in front."""
    return re.sub(r"^(.*) (\d{4})$", r"\2 \1", name)


def _ucf(name: str) -> str:
    """CamelCase apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)


# By what the data set's name holds; an empty name drops the class.
CLEAN: dict[str, Callable[[str], str]] = {
    "eurosat": lambda name: EUROSAT.get(name, name),
    "caltech": _caltech,
    "cars": _cars,
    "ucf": _ucf,
}
# Where tensorflow-datasets tests on other pictures than CoOp does.
OTHER_TEST_SET = ("caltech101", "dtd", "eurosat", "food101", "oxford_flowers102")


def clean(dataset: str, name: str) -> str:
    """One name of a data set; empty for a class that CoOp leaves out."""
    rules = [rule for key, rule in CLEAN.items() if key in dataset.lower()]
    return rules[0](name) if rules else name


def open_named(spec: str, holdout: int, names: str) -> AnyDataset:
    """Opens a data set with CoOp's class names.

    Args:
      spec: A dataset string.
      holdout: See `open_dataset`.
      names: A JSON file {spelled: wanted} that comes before all rules, e.g. for folders called by
        WordNet ids; or "".

    Raises:
      UserError: The data set or the file cannot be had.
    """
    dataset = open_dataset(spec, holdout=holdout)
    wanted = read_json(Path(names).expanduser(), "give {spelled: wanted}") if names else {}
    if odd := [name for name, value in wanted.items() if not isinstance(value, str)]:
        raise UserError(f"the names file {names} has no name for {odd[0]!r}.")
    spelled = [wanted.get(x) or clean(dataset.name, x) for x in dataset.classnames]
    kept = [label for label, name in enumerate(spelled) if name]
    if len(kept) < len(spelled):
        dataset = select_classes(dataset, kept)
    return dataclasses.replace(dataset, classnames=tuple(spelled[label] for label in kept))


def warning(spec: str) -> str:
    """What is to be said of a data set's test part; empty for nothing."""
    kind, _, name = spec.partition(":")
    if kind == "tfds" and name.split("/")[0] in OTHER_TEST_SET:
        return f"{spec} tests on other pictures than CoOp's split: its figures are not the paper's."
    return ""
