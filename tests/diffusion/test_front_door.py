"""Stable Diffusion from prompts to pictures."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from common.diffusion import UNet, load_stable_diffusion
from common.diffusion.drawing import generate
from common.diffusion.learned import checked_vectors
from common.errors import UserError

pytestmark = pytest.mark.usefixtures("quick_compiler")


class Stub(UNet):
    """A denoiser that compiles in no time; each row depends on its latents, time and text."""

    def __call__(self, latents, timesteps, text_states):
        mixed = (text_states.sum(1) + timesteps[:, None] / 1000)[:, :4]
        return 0.5 * latents + np.pi * mixed[:, None, None] / (1 + mixed[:, None, None] ** 2)


@pytest.fixture(scope="module")
def sd(model):
    modules = dataclasses.replace(model.modules, unet=Stub(model.unet.config))
    return dataclasses.replace(model, modules=modules)


def arrays(pictures):
    return np.stack([np.asarray(picture) for picture in pictures])


def test_pictures_are_those_of_the_function_beneath(sd):
    found = sd.draw(["a dog", "a cat"], 2, steps=3, seed=5, guidance=2.0)
    prompts = ["a dog", "a dog", "a cat", "a cat"]
    options = {"size": sd.image_size, "sampler": "dpmpp_2m", "steps": 3, "batch": 32}
    expected = generate(sd, prompts, {}, guidance=2.0, seed=5, **options)
    assert all(isinstance(picture, Image.Image) for picture in found)
    np.testing.assert_array_equal(arrays(found), expected)


def test_a_picture_depends_on_the_seed_and_its_number(sd):
    options = {"steps": 3, "guidance": 2.0}
    two, four = arrays(sd.draw("a dog", 2, **options)), arrays(sd.draw("a dog", 4, **options))
    np.testing.assert_array_equal(two, four[:2])
    assert (two[0] != two[1]).any()
    listed = arrays(sd.draw(["a dog", "a cat"], 2, **options))  # Numbers count the whole list.
    np.testing.assert_array_equal(two, listed[:2])
    assert (arrays(sd.draw("a cat", 2, **options)) != listed[2:]).any()
    assert (arrays(sd.draw("a dog", 2, seed=1, **options)) != two).any()


def test_a_program_of_other_settings_draws_the_same_pictures(sd, request):
    options = {"steps": 3, "guidance": 2.0, "sampler": "ddpm"}
    plain = arrays(sd.draw("a dog", **options))
    request.getfixturevalue("callers_settings")
    np.testing.assert_array_equal(arrays(sd.draw("a dog", **options)), plain)


def test_without_its_networks_nothing_is_drawn(sd):
    text = dataclasses.replace(sd, params={"text": sd.params["text"]})
    with pytest.raises(UserError, match="networks=False loads nothing that draws"):
        text.draw("a dog")


def test_float16_draws(model):
    half = dataclasses.replace(model.modules, unet=model.unet.clone(dtype=jnp.float16))
    (picture,) = dataclasses.replace(model, modules=half).draw("a dog", steps=1)
    assert picture.size == (model.image_size, model.image_size)


def test_words_negative_and_size_reach_the_picture(sd):
    options = {"steps": 3, "guidance": 2.0}
    width = sd.text_tower.config.width
    tokens = {"<mine>": np.full(width, 3.0), "<two>": np.eye(2, width)}
    plain = arrays(sd.draw("a dog", **options))
    assert (arrays(sd.draw("a <mine> dog", tokens=tokens, **options)) != plain).any()
    steered = arrays(sd.draw("a dog", negative="a cat", **options))
    assert (steered != plain).any()
    by_word = arrays(sd.draw("a dog", negative="<two>", tokens=tokens, **options))
    assert (by_word != plain).any() and (by_word != steered).any()
    assert sd.draw("a dog", size=2 * sd.image_size, **options)[0].size == (2 * sd.image_size,) * 2


def test_what_pictures_are_drawn_without_is_told(sd, capsys):
    tokens = {"<mine>": np.full(sd.text_tower.config.width, 3.0)}
    sd.draw("mine", negative="sand", tokens=tokens, steps=3, guidance=1.0)
    negative, word = capsys.readouterr().out.splitlines()[:2]
    assert negative == "negative='sand' is not read with guidance=1, which is none."
    assert word == "'mine' is drawn without <mine>, which it names without brackets."


def test_weights_are_placed_once(sd):
    assert sd.on_devices is sd.on_devices
    sd.draw("a dog", steps=3)
    assert isinstance(sd.params["unet"]["conv_in"]["kernel"], np.ndarray)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": []}, "prompt is an empty list"),
        ({"prompt": ["a", 3]}, r"prompt\[1\] is of type int"),
        ({"prompt": "a <dog>"}, "<dog> was not learned; the words are none"),
        ({"prompt": "a \ud800"}, "is not UTF-8"),
        ({"prompt": "dog " * 100}, r"tokens, and \d+ fit: shorten it"),
        ({"n": 0}, "n=0 is out of range: give a number from 1 to 1024"),
        ({"steps": True}, "steps=True is out of range"),
        ({"seed": -1}, "seed=-1 is out of range"),
        ({"guidance": float("nan")}, "guidance=nan is out of range"),
        ({"sampler": "best"}, "sampler='best' is unknown; choose one of"),
        ({"size": 17}, "size=17 is not a multiple of"),
        ({"size": 0}, "size=0 is out of range"),
        ({"prompt": "<a>", "tokens": {"<a>": np.ones(3)}}, "are 3 wide, and this text tower"),
        ({"tokens": {"<a>": np.ones((2, 2, 2))}}, r"tokens\['<a>'\] has the shape \(2, 2, 2\)"),
        ({"tokens": {"<a>": np.ones((0, 2))}}, r"tokens\['<a>'\] has the shape \(0, 2\)"),
        ({"tokens": {"<a>": np.full(24, np.nan)}}, r"tokens\['<a>'\] holds NaN or infinity: give"),
        ({"tokens": {"<a>": np.eye(2, 3) * [[1], [0]]}}, r"tokens\['<a>'\] holds a vector of zer"),
        ({"tokens": {"<a>": "one"}}, r"tokens\['<a>'\] is 'one': give vectors \[n, d\] of numbers"),
    ],
)
def test_bad_options_are_one_sentence(sd, options, sentence):
    with pytest.raises(UserError, match=sentence):
        sd.draw(**{"prompt": "a dog", "steps": 3} | options)


@pytest.mark.parametrize("tokens", [[1], 3, {3: np.ones(3)}])
def test_words_are_given_by_name(tokens):
    assert checked_vectors(None) == {}
    with pytest.raises(UserError, match="tokens are not vectors by word: give them as"):
        checked_vectors(tokens)


def test_zeros_for_one_of_two_encoders_say_something():
    parts = {"clip_l": np.zeros((1, 2)), "clip_g": np.ones((1, 3))}
    assert checked_vectors({"<a>": parts})["<a>"].keys() == parts.keys()
    with pytest.raises(UserError, match=r"tokens\['<a>'\] holds a vector of zeros"):
        checked_vectors({"<a>": parts | {"clip_g": np.zeros((1, 3))}})


def test_the_dtype_may_be_said_in_words():
    with pytest.raises(UserError, match=r"dtype='half' is unknown"):
        load_stable_diffusion("pocket", "half")
