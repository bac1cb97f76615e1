"""Pictures of weighted prompts, and of other shapes than the model's."""

import dataclasses

import numpy as np
import pytest

from common.errors import UserError
from tests.diffusion.test_front_door import Stub, arrays

pytestmark = pytest.mark.usefixtures("quick_compiler")

OPTIONS = {"steps": 3, "guidance": 2.0}


@pytest.fixture(scope="module")
def sd(model):
    modules = dataclasses.replace(model.modules, unet=Stub(model.unet.config))
    return dataclasses.replace(model, modules=modules)


def test_weights_count_only_when_asked(sd):
    plain = arrays(sd.draw("a (dog:1.5)", **OPTIONS))
    weighted = arrays(sd.draw("a (dog:1.5)", weighted=True, **OPTIONS))
    assert (plain != weighted).any()
    same = arrays(sd.draw("a dog", weighted=True, **OPTIONS))
    np.testing.assert_array_equal(same, arrays(sd.draw("a dog", **OPTIONS)))
    opposite = arrays(sd.draw("a dog", negative="(cat:2)", weighted=True, **OPTIONS))
    assert (opposite != same).any()


def test_a_picture_does_not_depend_on_longer_prompts_beside_it(sd):
    both = arrays(sd.draw(["a dog", "d" * 90, "a cat"], weighted=True, **OPTIONS))
    alone = arrays(sd.draw(["a dog", "a cat", "a cat"], weighted=True, **OPTIONS))
    np.testing.assert_array_equal(both[[0, 2]], alone[[0, 2]])
    assert (both[1] != alone[1]).any()


def test_sides_may_differ(sd):
    side = sd.image_size
    (picture,) = sd.draw("a dog", width=2 * side, **OPTIONS)
    assert picture.size == (2 * side, side)
    (picture,) = sd.draw("a dog", size=2 * side, width=side, **OPTIONS)
    assert picture.size == (side, 2 * side)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 17}, "width=17 is not a multiple of 2"),
        ({"height": -4}, "height=-4 is out of range: give a number from 1 to 4096"),
        ({"width": 8192}, "width=8192 is out of range"),
        ({"prompt": "(a:1.2.3)"}, "is not a number"),
        ({"negative": "(a:200)"}, "the weight of 'a' is 200"),
    ],
)
def test_bad_options_are_one_sentence(sd, options, sentence):
    with pytest.raises(UserError, match=sentence):
        sd.draw(**{"prompt": "a", "steps": 3, "weighted": True} | options)


def test_the_remedy_for_a_long_prompt_is_said(sd):
    with pytest.raises(UserError, match="75 fit: shorten it, or draw with --weighted"):
        sd.draw("d" * 76, steps=3)
