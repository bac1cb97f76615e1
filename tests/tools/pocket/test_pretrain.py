import dataclasses

import jax
import numpy as np
import pytest

from common.diffusion import load_stable_diffusion
from common.language import load_lm
from tools.pocket import pretrain
from tools.pocket.recipe import QUICK, Fit


@pytest.mark.slow
@pytest.mark.timeout(900)  # most of it goes into measuring
def test_the_whole_pretraining_runs_and_goes_on_and_its_models_open(tmp_path, monkeypatch):
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

    monkeypatch.setattr(pretrain, "write_card", lambda *args: None)
    further = dataclasses.replace(tiny, start=str(tmp_path), seed=1)
    pretrain.pretrain_pictures(further, tmp_path / "work2", tmp_path / "later")
    first, later = (
        load_stable_diffusion(str(folder / "sd")) for folder in (tmp_path, tmp_path / "later")
    )
    assert later.modules.vae.config == first.modules.vae.config
    jax.tree.map(
        np.testing.assert_array_equal, *(sd.params["vae"]["encoder"] for sd in (first, later))
    )
