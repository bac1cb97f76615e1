"""What public functions are given: places as texts or paths, photos, and traced programs."""

from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import aape_jax
import mcti_jax
import protext_jax
from aape_jax.datasets.caption_set import open_caption_set
from common import UserError, load_clip, load_stable_diffusion, open_dataset
from common.clip.prompts import require_texts
from common.paths import place_text
from common.publish import publish

# Functions of a place, and what is said of one where nothing is.
PLACES = {
    "open_dataset": (open_dataset, "'nothing' is not a data set"),
    "open_caption_set": (open_caption_set, "data='nothing' is not a captioned data set"),
    "load_clip": (load_clip, "there is no model directory 'nothing'"),
    "load_stable_diffusion": (load_stable_diffusion, "there is no model directory 'nothing'"),
    "mcti_jax.load": (mcti_jax.load, "nothing holds no run"),
    "mcti_jax.load_tokens": (mcti_jax.load_tokens, "there is no file or directory 'nothing'"),
    "mcti_jax.read_tokens": (mcti_jax.read_tokens, "there is no file or directory 'nothing'"),
    "protext_jax.load": (protext_jax.load, "nothing holds no run"),
    "protext_jax.load_checkpoint": (
        partial(protext_jax.load_checkpoint, model="pocket"),
        "'nothing' is missing",
    ),
    "protext_jax.read_prompts": (protext_jax.read_prompts, "no learned prompts at nothing"),
    "aape_jax.load": (aape_jax.load, "nothing holds no run"),
    "publish": (partial(publish, to=Path("elsewhere")), "nothing holds no run"),
    "publish, to": (partial(publish, "nothing"), "nothing holds no run"),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_read_as_its_text(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, sentence = PLACES[name]
    with pytest.raises(UserError, match=sentence):
        function(kind("nothing"))


@pytest.mark.parametrize("place", [None, 3, b"pocket", ["pocket"]])
def test_what_is_no_place_is_named(place):
    with pytest.raises(UserError, match=f"^the run is of type {type(place).__name__}: give a tex"):
        place_text(place, "the run")


@pytest.fixture(scope="module")
def clip(quick_compiler):
    return load_clip(Path("pocket"))


@pytest.fixture(scope="module")
def photo():
    return open_dataset(Path("pocket:rare")).test.load(0)


def test_one_photo_is_preprocessed_whatever_it_comes_as(clip, photo, tmp_path):
    path = tmp_path / "photo.png"
    photo.save(path)
    pixels = clip.preprocess(photo)
    for same in (np.asarray(photo), path, str(path)):
        np.testing.assert_array_equal(clip.preprocess(same), pixels)


REFUSED = {
    "a number": (3, "photo is of type int: give a PIL image, a uint8 array"),
    "a list": (["a.png"], "photo is of type list"),
    "floats": (np.zeros((4, 4, 3)), "photo is an array of float64"),
    "no file": ("nothing.png", r"photo \(nothing.png\) cannot be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_preprocessed_is_named(clip, name):
    entry, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence):
        clip.preprocess(entry)


def test_lists_are_not_encoded_in_a_program_that_is_traced(clip, photo):
    """What is refused leaves nothing behind: the weights are placed by the call after it."""
    calls = {
        "image_features": lambda pixels: clip.image_features([pixels]),
        "text_features": lambda pixels: clip.text_features(["a"]),
        "class_features": lambda pixels: clip.classify([pixels], ["a", "b"]),
    }
    for name, call in calls.items():
        with pytest.raises(UserError, match=rf"{name} takes lists .* or common\.clip\.encode_"):
            jax.jit(call)(np.asarray(photo))
    with pytest.raises(UserError, match=r"photos\[0\] is of type \w*Tracer"):
        jax.vmap(calls["image_features"])(np.asarray(photo)[None])
    assert len(clip.text_features(["a"])) == len(clip.image_features([photo])) == 1


def test_nothing_is_drawn_in_a_program_that_is_traced():
    sd = load_stable_diffusion(Path("pocket"))
    with pytest.raises(UserError, match=r"draw takes lists .* common\.diffusion\.text_to_image in"):
        jax.jit(lambda: sd.draw("a fish"))()


@pytest.mark.parametrize("texts", [None, 3, {"a", "b"}, frozenset("ab")])
def test_what_is_no_list_of_texts_is_named(texts):
    with pytest.raises(UserError, match=f"texts is of type {type(texts).__name__}, not a list"):
        require_texts(texts, "texts")


def test_photos_in_a_set_have_no_order(clip):
    with pytest.raises(UserError, match="photos is of type set, not a list"):
        clip.image_features({"a.png", "b.png"})


def test_names_of_an_array_are_plain_texts(clip, photo):
    found = clip.classify([photo], np.array(["red fish", "blue fish"]))
    assert {type(name) for name in (*found.classnames, *found.names)} == {str}
