"""Stable Diffusion XL draws by `generate`, without a run."""

import numpy as np
import pytest
from PIL import Image

from common.diffusion import load_stable_diffusion, save_stable_diffusion
from common.pictures import read_png_texts
from mcti_jax.formats import LearnedToken, write_token
from tests.diffusion.xl import xl_model
from tests.hostile import commands

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
    assert "Sampler: Euler, " in said and "Size: 24x16" in said
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
    assert "are 24 wide (another model), but 24 and 32 was expected" in done.err
