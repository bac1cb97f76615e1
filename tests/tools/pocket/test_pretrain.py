import dataclasses

import pytest

from common.language import load_lm
from tools.pocket import pretrain
from tools.pocket.recipe import QUICK, Fit


@pytest.mark.slow
@pytest.mark.timeout(900)  # most of it goes into measuring
def test_the_whole_pretraining_runs_and_its_models_open(tmp_path):
    tiny = dataclasses.replace(
        QUICK,
        corpus=200,
        clip=Fit(4, 16, 1e-3),
        vae=Fit(4, 16, 1e-3),
        unet=Fit(4, 16, 1e-3),
        lm=Fit(4, 4, 1e-3),
        lm_rows=8,
        judge=Fit(4, 16, 1e-3),
        test_size=100,
    )
    pretrain.pretrain_pictures(tiny, tmp_path / "work", tmp_path)
    pretrain.pretrain_lm(tiny, tmp_path / "work", tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "clip/rare/accuracy_by_name" in card
    assert (tmp_path / "samples.png").stat().st_size > 10_000
    assert (tmp_path / "sd/model_index.json").exists()
    assert "answers/accuracy_4_shot" in (tmp_path / "lm/README.md").read_text()
    assert load_lm(str(tmp_path / "lm")).config.layers == 4
