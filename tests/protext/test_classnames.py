"""Class names as CoOp spells them."""

import json

import numpy as np
import pytest

from common.errors import UserError
from protext_jax.classnames import clean, open_named, warning


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


def test_other_test_sets_are_told():
    assert "not the paper's" in warning("tfds:dtd")
    assert warning("coop:data/dtd") == warning("tfds:cars196") == ""
