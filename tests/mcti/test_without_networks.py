"""Runs with `alpha=0`: the U-Net and the VAE are loaded for pictures alone."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.errors import UserError
from common.training import train
from mcti_jax import MCTI, load
from mcti_jax.export import export, export_classes
from mcti_jax.formats import read_tokens
from mcti_jax.generate import draw
from mcti_jax.measuring import measure_tokens
from tests.hostile.test_runs_of_tokens import config_of, stopped, world, write_photos

__all__ = ["stopped", "world"]  # Fixtures.
pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")

TEXT_ALONE = "alpha=0,generate.per_class=0"


@pytest.fixture(scope="module")
def bare(world):
    """The same world, without the weights of the networks."""
    folder = world / "bare"
    shutil.copytree(world / "sd", folder / "sd")
    for name in ("unet", "vae"):
        (folder / "sd" / name / "diffusion_pytorch_model.safetensors").unlink()
    return folder


def config_in(world, changes=TEXT_ALONE, **models):
    return config_of(world, ",".join([changes, *(f"{k}={v}" for k, v in models.items())]))


def vectors(workdir):
    return np.stack([token.vectors for token in read_tokens(workdir / "tokens")])


@pytest.fixture(scope="module")
def run(world, bare):
    config = config_in(world, model=bare / "sd")
    return train(MCTI(config), world / "text"), world / "text"


def test_the_files_of_the_networks_are_not_opened(run, world, tmp_path):
    result, workdir = run
    whole = train(MCTI(config_in(world, "alpha=0,generate.per_class=1")), tmp_path / "whole")
    np.testing.assert_array_equal(vectors(workdir), vectors(tmp_path / "whole"))
    assert result["metrics"].items() <= whole["metrics"].items()
    assert not [name for name in result["metrics"] if name.startswith("generated")]
    assert [name for name in whole["metrics"] if name.startswith("generated")]
    metadata = [
        {key: value for key, value in token.metadata.items() if key != "base_model"}
        for folder in (workdir, tmp_path / "whole")
        for token in read_tokens(folder / "tokens")
    ]
    assert metadata[:2] == metadata[2:]  # The fingerprint, too.


@pytest.mark.parametrize("changes", ["alpha=1,generate.per_class=0", "alpha=0", "alpha=1"])
def test_networks_that_are_needed_are_missed_before_the_first_update(
    changes, world, bare, tmp_path
):
    with pytest.raises(UserError, match=r"unet'? holds no weights"):
        train(MCTI(config_in(world, changes, model=bare / "sd")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_such_a_run_serves_for(run, world, bare, tmp_path):
    result, workdir = run
    config = config_in(world, model=bare / "sd")
    measured = measure_tokens(config, workdir, None, "mcti")
    assert measured.metrics == result["metrics"]
    for form in ("a1111", "diffusers"):
        export(workdir, form, tmp_path / form)
    photo = world / "photos" / "cat" / "0.png"
    assert load(workdir).classify([photo]).names[0] in ("cat", "dog")
    assert export_classes(workdir, tmp_path / "classes").exists()
    with pytest.raises(UserError, match=r"unet'? holds no weights"):
        draw(workdir, ["a <cat>"], num=1, steps=1)
    assert draw(workdir, ["a <cat>"], num=1, steps=1, model=str(world / "sd")).shape[-1] == 3


def photos_of(evaluation):
    return sum(row["photos"] for row in evaluation.details["classes"])


def test_other_photos_are_all_measured_beside_baselines_of_the_runs_own(run, world, bare, tmp_path):
    result, workdir = run
    write_photos(tmp_path / "other", "dog", "cat")
    for photo in (tmp_path / "other").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(photo)) + np.uint8(1)).save(photo)
    config = config_in(world, model=bare / "sd")
    found = measure_tokens(config, workdir, f"folder:{tmp_path / 'other'}", "mcti")
    assert photos_of(found) == 8 and {"linear_probe", "names"} < set(found.baselines)
    # The same photos, of which some were learned from.
    own = measure_tokens(config, workdir, config.data, "mcti")
    assert photos_of(own) == 2 and own.metrics == result["metrics"]
    assert own.baselines == result["baselines"]


def test_other_classes_are_refused_before_models_are_loaded(run, world, bare, tmp_path):
    _, workdir = run
    write_photos(tmp_path / "other", "dog", "fox")
    config = config_in(world, model=bare / "sd")
    config.clip = config.model = str(tmp_path / "nowhere")
    with pytest.raises(UserError, match="the data set lacks 'cat' and the run has not learned"):
        measure_tokens(config, workdir, f"folder:{tmp_path / 'other'}", "mcti")


def test_what_was_learned_from_need_not_be_at_hand(run, world, bare, tmp_path, capsys):
    _, workdir = run
    write_photos(tmp_path / "other", "cat", "dog")
    gone = config_in(world, f"{TEXT_ALONE},data=folder:{tmp_path / 'gone'}", model=bare / "sd")
    found = measure_tokens(gone, workdir, f"folder:{tmp_path / 'other'}", "mcti")
    assert set(found.baselines) == {"names"} and photos_of(found) == 2
    printed = capsys.readouterr().out
    assert "only the last 1 of each class make one" in printed
    assert "are not at hand, so no baseline is: the data folder" in printed


def test_pictures_may_be_asked_for_later(world, tmp_path):
    first = train(MCTI(config_in(world)), tmp_path / "run")
    again = train(MCTI(config_in(world, "alpha=0,generate.per_class=1")), tmp_path / "run")
    assert first["metrics"].items() <= again["metrics"].items()
    assert "generated/clip_i" in again["metrics"]


def begun(world, workdir, monkeypatch, model):
    """Begin a run of an older version, whose checkpoints name the whole model."""
    now = MCTI.load

    def before(self, *arguments):
        loaded = now(self, *arguments)
        prints = {name: x for name, x in loaded.fingerprints.items() if name != "text encoder"}
        whole = load_stable_diffusion(str(world / "sd"), "float32").fingerprint
        return dataclasses.replace(loaded, fingerprints=prints | {"model": whole}, earlier={})

    with monkeypatch.context() as patch:
        patch.setattr(MCTI, "load", before)
        train(MCTI(config_in(world, f"{TEXT_ALONE},updates=4", model=model)), workdir)
    (workdir / "result.json").unlink()


def test_a_run_of_an_older_version_goes_on(world, bare, tmp_path, monkeypatch):
    model = tmp_path / "sd"
    shutil.copytree(world / "sd", model)
    begun(world, tmp_path / "run", monkeypatch, model)
    assert json.loads((tmp_path / "run/config.json").read_text())["alpha"] == 0
    method = MCTI(config_in(world, f"{TEXT_ALONE},updates=4", model=model))
    train(method, tmp_path / "run")
    (tmp_path / "run/result.json").unlink()
    other = load_stable_diffusion(str(world / "sd"))
    other.params["vae"]["quant"]["bias"] = other.params["vae"]["quant"]["bias"] + 1
    save_stable_diffusion(other, model)
    with pytest.raises(UserError, match="was made with other model"):
        train(method, tmp_path / "run")
