import sys
from types import ModuleType

import numpy as np
import pytest

from common.data.dataset import Dataset
from common.data.sources import open_dataset
from common.data.splits import ImageSplit
from common.errors import UserError


@pytest.mark.parametrize("spec", ["", "cifar", "folder", "folder:", "Folder:x", "imagenet:x", ":x"])
def test_other_strings_are_refused(spec: str):
    with pytest.raises(UserError, match=r"not a data set: write one of pocket:\.\.\., folder:"):
        open_dataset(spec)


def test_only_the_first_colon_separates(tmp_path):
    with pytest.raises(UserError, match="'a:b' does not exist"):
        open_dataset("folder:a:b")


def test_bundled_sets_are_opened_by_name(monkeypatch):
    world = ModuleType("common.pocket.datasets")
    none = ImageSplit(np.zeros(0, np.int64), (), ())
    world.open_pocket = lambda name: Dataset(name, ("a",), train=none, test=none)
    monkeypatch.setitem(sys.modules, "common.pocket.datasets", world)

    assert open_dataset("pocket:shapes").name == "shapes"
