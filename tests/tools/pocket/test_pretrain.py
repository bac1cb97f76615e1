import dataclasses

import jax
import numpy as np
import pytest

from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.language import load_lm
from tools.pocket import pretrain
from tools.pocket.recipe import QUICK, SHARES, Fit


def test_what_is_kept_leaves_its_seconds_to_the_others():
    recipe = dataclasses.replace(QUICK, seconds=800.0, keep=("clip", "templates", "vae"))
    assert recipe.allowed("unet") == pytest.approx(580)
    assert dataclasses.replace(recipe, keep=()).allowed("unet") == pytest.approx(464)
    trained = [recipe.allowed(stage) for stage in SHARES if stage not in recipe.keep]
    assert sum(trained) == pytest.approx(800)


@pytest.mark.parametrize(
    ("names", "start", "message"),
    [
        (["judge"], "models", "--keep=judge: only clip, templates, vae"),
        (["clip"], "", "needs --start"),
    ],
)
def test_what_cannot_be_kept_is_said(names, start, message):
    with pytest.raises(UserError, match=message):
        pretrain.kept_stages(names, start)


@pytest.mark.slow
@pytest.mark.timeout(900)  # most of it goes into measuring
def test_the_whole_pretraining_runs_and_goes_on_and_its_models_open(tmp_path, monkeypatch):
    tiny = dataclasses.replace(
        QUICK,
        corpus=200,
        clip=Fit(4, 16, 1e-3),
        templates=Fit(4, 16, 1e-3),
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
    only_unet = dataclasses.replace(further, keep=("clip", "templates", "vae"))
    pretrain.pretrain_pictures(further, tmp_path / "work2", tmp_path / "later")
    first, later = (
        load_stable_diffusion(str(folder / "sd")) for folder in (tmp_path, tmp_path / "later")
    )
    assert later.modules.vae.config == first.modules.vae.config
    jax.tree.map(
        np.testing.assert_array_equal, *(sd.params["vae"]["encoder"] for sd in (first, later))
    )

    pretrain.pretrain_pictures(only_unet, tmp_path / "work3", tmp_path / "last")
    last = load_stable_diffusion(str(tmp_path / "last/sd"))
    for part in ("vae", "text"):
        jax.tree.map(np.testing.assert_array_equal, last.params[part], first.params[part])
