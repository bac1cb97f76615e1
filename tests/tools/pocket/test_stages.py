import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from tools.pocket.recipe import QUICK
from tools.pocket.stages import Stopwatch, claim, run_stage


def test_a_finished_stage_is_read_back_and_not_trained_again(tmp_path):
    calls = []

    def train():
        calls.append(1)
        return {"params": {"w": np.arange(3.0, dtype=np.float32)}, "scale": np.float32(2)}

    file = tmp_path / "unet.safetensors"
    stopwatch = Stopwatch(tmp_path / "seconds.json")
    first = run_stage(file, train, stopwatch)
    again = run_stage(file, train, stopwatch)
    assert len(calls) == 1
    np.testing.assert_array_equal(again["params"]["w"], first["params"]["w"])
    assert float(again["scale"]) == 2
    assert "unet" in Stopwatch(tmp_path / "seconds.json").times


def test_stages_of_another_recipe_are_refused(tmp_path):
    claim(tmp_path, QUICK)
    claim(tmp_path, QUICK)
    with pytest.raises(UserError, match="another recipe"):
        claim(tmp_path, dataclasses.replace(QUICK, seed=1))
