"""Stable Diffusion XL draws by `generate`, and is refused where tokens are learned."""

import numpy as np
import pytest
from PIL import Image

from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.diffusion.known import KNOWN
from common.errors import UserError
from common.pictures import read_png_texts
from mcti_jax.formats import LearnedToken, write_token
from mcti_jax.material import gather, require_single_tower
from mcti_jax.outline import outline_of
from tests.diffusion.xl import xl_model
from tests.hostile import commands
from tests.mcti.tiny import settings

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")


@pytest.fixture(scope="module")
def model():
    """A small one."""
    return xl_model(load_stable_diffusion("pocket", networks=False).tokenizer)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Its folder."""
    folder = tmp_path_factory.mktemp("xl")
    save_stable_diffusion(model, folder)
    return folder


def run(folder, *options):
    basics = (f"--model={folder}", "--steps=2", "--num=1", "--prompt=a dog", "--width=24")
    return commands.run(
        "mcti_jax.generate",
        *basics,
        f"--out={folder}/new.png",
        f"--pictures={folder}/each",
        *options,
    )


def test_it_draws_and_draws_again(model, folder):
    done = run(folder, "--negative=a (cat:1.2)", "--weighted", "--seed=3", "--guidance=2")
    assert done.status == 0, done.err
    file = folder / "new.png"
    first, said = file.read_bytes(), read_png_texts(file)["parameters"]
    assert "Sampler: checkpoint" in said and "Size: 24x16" in said
    options = {"negative": "a (cat:1.2)", "weighted": True, "guidance": 2.0, "batch": 1}
    (picture,) = load_stable_diffusion(str(folder)).draw(
        "a dog", steps=2, seed=3, width=24, **options
    )
    shown = np.asarray(Image.open(folder / "each/0000.png"))
    np.testing.assert_array_equal(shown, np.asarray(picture))
    again = commands.run("mcti_jax.generate", f"--again={file}", f"--out={folder}/again.png")
    assert again.status == 0, again.err
    assert (folder / "again.png").read_bytes() == first


def test_words_of_one_text_encoder_are_refused(folder, tmp_path):
    write_token(tmp_path, LearnedToken("<one>", np.ones((1, 24), np.float32)), "diffusers")
    done = run(folder, f"--embedding={tmp_path}")
    assert done.status == 2
    assert (
        "those of one text encoder, and a Stable Diffusion XL takes clip_g and clip_l" in done.err
    )


@pytest.mark.parametrize("ask", [gather, lambda config: outline_of(config, "cpu")])
def test_no_token_is_learned_for_it(folder, ask, monkeypatch):
    monkeypatch.setattr("mcti_jax.material.load_stable_diffusion", None)
    for source in (str(folder), "stabilityai/stable-diffusion-xl-base-1.0"):
        with pytest.raises(UserError, match="is a Stable Diffusion XL, whose two text encoders"):
            ask(settings(model=source))


def test_a_model_of_the_hub_is_known_once_it_is_loaded(model):
    config = settings(model="some/model")
    require_single_tower(config)
    with pytest.raises(UserError, match="'some/model' is a Stable Diffusion XL"):
        require_single_tower(config, model)
    assert "some/model" not in KNOWN
