"""Pictures that are no squares: what is learned from, and what is drawn."""

import functools

import jax
import numpy as np
import pytest
from PIL import Image

from common.diffusion import StableDiffusion
from common.diffusion.known import describe_stable_diffusion
from common.errors import UserError
from mcti_jax import generation, material, previews
from mcti_jax.outline import outline_of
from mcti_jax.picture_size import parse_aspect, picture_size
from mcti_jax.trained import TrainedTokens
from tests.mcti.noise import answer, encoders
from tests.mcti.tiny import QUICK, settings

SD1 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
XL = "stabilityai/stable-diffusion-xl-base-1.0"


described = functools.cache(describe_stable_diffusion)


@pytest.mark.parametrize(
    "text", ["3x4", "3:4:5", ":4", "0:1", "1:5", "-3:4", "3.5:4", "٣:٤", "1e1:9", ""]
)
def test_what_is_no_aspect_is_refused(text):
    with pytest.raises(UserError, match=r"aspect=.*give e\.g\. aspect=3:4"):
        parse_aspect(text)


@pytest.mark.parametrize(
    ("model", "resolution", "aspect", "size"),
    [
        (SD1, 0, "1:1", (512, 512)),
        (SD1, 520, "7:7", (520, 520)),
        (SD1, 512, "3:4", (448, 576)),
        (SD1, 512, "4:3", (576, 448)),
        (SD1, 512, "2:3", (448, 640)),
        (SD1, 512, "16:9", (704, 384)),
        (SD1, 8, "4:1", (64, 64)),
        (XL, 0, "1:4", (512, 2048)),
        (XL, 1024, "3:4", (896, 1184)),
    ],
)
def test_sizes_of_published_models(model, resolution, aspect, size):
    assert picture_size(settings(resolution=resolution, aspect=aspect), described(model)) == size


@pytest.fixture(scope="module")
def loaded():
    return encoders()


@pytest.mark.parametrize(("size", "sentence"), [(9, "take 8"), (1, "take 2")])
def test_resolution_that_the_vae_cannot_reduce(loaded, size, sentence):
    with pytest.raises(UserError, match=sentence):
        picture_size(settings(resolution=size), loaded[0])


def test_resolution_is_the_models_own_unless_given(loaded):
    assert picture_size(settings(), loaded[0]) == (8, 8)
    assert picture_size(settings(resolution=16), loaded[0]) == (16, 16)


@pytest.fixture
def config(tmp_path):
    generate = {"per_class": 1, "steps": 1, "sampler": "ddim"}
    return settings(
        cache=str(tmp_path), shots=0, resolution=16, aspect="4:1", progress=False, generate=generate
    )


def test_what_is_encoded_and_drawn_has_the_shape(loaded, config, monkeypatch):
    """Squares of 16 pixels and a shape of 4 to 1 make pictures of 32 by 8."""
    sd, clip = loaded
    data = answer(monkeypatch, sd, clip, train=2)
    gathered = material.gather(config)
    assert gathered.size == (32, 8)

    photo = data.train.load(0).resize((32, 8), Image.Resampling.BICUBIC)
    pixels = (np.asarray(photo)[None] / 127.5 - 1).astype(np.float32)
    encode = jax.jit(
        lambda pixels: sd.vae.apply({"params": sd.params["vae"]}, pixels, method="encode"),
        compiler_options=QUICK,
    )
    found = gathered.encoded.mean
    assert found.shape[2:4] == (4, 16)
    np.testing.assert_allclose(found[0, :1], encode(pixels).mean, rtol=1e-4, atol=1e-5)


def test_whatever_draws_takes_the_shape(loaded, config, monkeypatch):
    sd, drawn = loaded[0], []

    def generate(model, prompts, *_, size, **options):
        drawn.append(size)
        return np.zeros((len(prompts), size[1], size[0], 3), np.uint8)

    monkeypatch.setattr(generation, "generate", generate)
    tokens = np.zeros((2, 1, sd.text_tower.config.width), np.float32)
    assert generation.generate_classes(config, sd, tokens).shape == (2, 1, 8, 32, 3)
    previews.draw_preview(config, sd, tokens, ["a", "b"], [0, 1])
    assert drawn == [(32, 8), (32, 8)]


def test_a_run_draws_its_shape_unless_told(loaded, config, monkeypatch):
    shapes = []

    def draw(self, prompt, n, **options):
        shapes.append({name: options.get(name) for name in ("size", "width", "height")})
        return []

    monkeypatch.setattr(StableDiffusion, "draw", draw)
    run = TrainedTokens(config, ())
    run.__dict__["stable_diffusion"] = loaded[0]
    run.draw("1")
    run.draw("1", size=16)
    run.draw("1", width=64)
    assert shapes == [
        {"size": None, "width": 32, "height": 8},
        {"size": 16, "width": None, "height": None},
        {"size": None, "width": 64, "height": 8},
    ]


def test_a_program_is_described_with_the_shape():
    config = settings(
        model=SD1, clip="openai/clip-vit-large-patch14", classes=2, shots=1, aspect="3:4"
    )
    assert outline_of(config, "cpu").encoded.mean.shape == (2, 2, 72, 56, 4)
