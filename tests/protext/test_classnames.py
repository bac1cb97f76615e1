"""Class names as CoOp spells them."""

import json

import numpy as np
import pytest

from common.errors import UserError
from protext_jax.classnames import clean, open_named, remark


@pytest.mark.parametrize(
    ("dataset", "name", "wanted"),
    [
        ("eurosat/rgb", "SeaLake", "Sea or Lake"),
        ("eurosat", "Forest", "Forest"),
        ("caltech101", "airplanes", "airplane"),
        ("caltech101", "BACKGROUND_Google", ""),
        ("caltech101", "yin_yang", "yin_yang"),
        ("cars196", "AM General Hummer SUV 2000", "2000 AM General Hummer SUV"),
        ("stanford_cars", "2000 AM General Hummer SUV", "2000 AM General Hummer SUV"),
        ("ucf101/ucf101_1", "ApplyEyeMakeup", "Apply_Eye_Makeup"),
        (
            "sun397/standard-part1-120k",
            "/a/apartment_building/outdoor",
            "outdoor apartment_building",
        ),
        ("sun397", "abbey", "abbey"),
        ("dtd", "banded", "banded"),
    ],
)
def test_names(dataset, name, wanted):
    assert clean(dataset, name) == wanted


def test_opening_renames_and_drops(tmp_path):
    file = tmp_path / "caltech.npz"
    names = np.array(["faces", "faces_easy", "n01"])
    np.savez(
        file, features=np.eye(6, dtype=np.float32), labels=[0, 0, 1, 1, 2, 2], classnames=names
    )
    (tmp_path / "names.json").write_text(json.dumps({"n01": "tench"}))
    dataset = open_named(f"features:{file}", 1, str(tmp_path / "names.json"))
    assert dataset.classnames == ("face", "tench")
    assert dataset.test.labels.tolist() == [0, 1]
    (tmp_path / "odd.json").write_text(json.dumps({"n01": 1}))
    with pytest.raises(UserError, match="no name for 'n01'"):
        open_named(f"features:{file}", 1, str(tmp_path / "odd.json"))


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ("tfds:dtd", False),
        ("tfds:caltech101", False),
        ("tfds:sun397", False),
        ("tfds:sun397/standard-part1-120k", True),
        ("tfds:cars196", True),
        ("tfds:oxford_iiit_pet:4.0.0", True),
        ("tfds:my_own", True),
        ("coop:data/dtd", True),
        ("hf:ethz/food101", False),
        ("hf:someone/dtd:partition_1", False),
        ("hf:dtd/mine", True),
    ],
)
def test_other_test_sets_are_told(spec, same):
    assert ("not the paper's" in remark(spec)) is not same
