import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from common.language import load_lm
from common.pocket import pretrain
from common.pocket.recipe import QUICK, Fit


def test_a_finished_stage_is_read_back_and_not_trained_again(tmp_path):
    calls = []

    def train():
        calls.append(1)
        return {"params": {"w": np.arange(3.0, dtype=np.float32)}, "scale": np.float32(2)}

    file = tmp_path / "unet.safetensors"
    stopwatch = pretrain._Stopwatch(tmp_path / "seconds.json")
    first = pretrain._stage(file, train, stopwatch)
    again = pretrain._stage(file, train, stopwatch)
    assert len(calls) == 1
    np.testing.assert_array_equal(again["params"]["w"], first["params"]["w"])
    assert float(again["scale"]) == 2
    assert "unet" in pretrain._Stopwatch(tmp_path / "seconds.json").times


def test_stages_of_another_recipe_are_refused(tmp_path):
    pretrain._claim(tmp_path, QUICK)
    pretrain._claim(tmp_path, QUICK)
    with pytest.raises(UserError, match="another recipe"):
        pretrain._claim(tmp_path, dataclasses.replace(QUICK, seed=1))


@pytest.mark.slow
def test_the_whole_pretraining_runs_and_its_models_open(tmp_path):
    tiny = dataclasses.replace(
        QUICK,
        corpus=200,
        clip=Fit(4, 16, 1e-3),
        vae=Fit(4, 16, 1e-3),
        unet=Fit(4, 16, 1e-3),
        lm=Fit(4, 4, 1e-3),
        lm_rows=8,
        test_size=100,
    )
    pretrain.pretrain(tiny, tmp_path / "work", tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "clip/rare/accuracy_by_name" in card
    assert (tmp_path / "samples.png").stat().st_size > 10_000
    assert (tmp_path / "sd/model_index.json").exists()
    assert "answers/accuracy_4_shot" in (tmp_path / "lm/README.md").read_text()
    assert load_lm(str(tmp_path / "lm")).config.layers == 4
