import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from tools.pocket.fitting import Allowance
from tools.pocket.recipe import QUICK, SHARES
from tools.pocket.stages import Stages, claim


def test_a_finished_stage_is_read_back_and_not_trained_again(tmp_path):
    calls = []

    def train(allowance):
        calls.append(allowance)
        return {"params": {"w": np.arange(3.0, dtype=np.float32)}, "scale": np.float32(2)}

    recipe = dataclasses.replace(QUICK, seconds=100.0)
    first = Stages(tmp_path, recipe).run("unet", train)
    again = Stages(tmp_path, recipe).run("unet", train)
    assert calls == [Allowance(recipe.allowed("unet"), tmp_path / "unet.state.safetensors")]
    np.testing.assert_array_equal(again["params"]["w"], first["params"]["w"])
    assert float(again["scale"]) == 2
    assert "unet" in Stages(tmp_path, recipe).times


def test_a_recipe_shares_out_all_its_seconds():
    assert sum(SHARES.values()) == pytest.approx(1)
    assert QUICK.allowed("unet") == 0


def test_stages_of_another_recipe_are_refused(tmp_path):
    claim(tmp_path, QUICK)
    claim(tmp_path, QUICK)
    with pytest.raises(UserError, match="another recipe"):
        claim(tmp_path, dataclasses.replace(QUICK, seed=1))
