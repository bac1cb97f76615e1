"""Which classes, pictures and templates each protocol measures on."""

import numpy as np
import pytest

from common.clip import load_clip
from common.data import Dataset, ImageSplit
from common.data.coop_sets import own_template
from common.errors import UserError
from common.photos.photo import ArrayPhoto
from protext_jax import testsets, training_texts
from protext_jax.prompts import training_template
from protext_jax.templates import ATTRIBUTES, cross_template
from protext_jax.testsets import make_test_sets
from tests.protext.tiny import settings


def dataset(name, classes):
    grey = ArrayPhoto(np.zeros((2, 2, 3), np.uint8))
    split = ImageSplit(np.arange(classes), ("",) * classes, (grey,) * classes)
    return Dataset(name, tuple(f"class {k}" for k in range(classes)), split, split)


@pytest.fixture
def sets(monkeypatch):
    """The test sets of a protocol on made-up data sets of seven classes."""
    known = {name: dataset(name, 7) for name in ("imagenet", "dtd", "eurosat", "cars")}
    for module in (testsets, training_texts):
        monkeypatch.setattr(module, "open_named", lambda spec, *_: known[spec])

    def make(**changes):
        config = settings(**{"targets": (), "prompts.kind": "templates", "data": "dtd", **changes})
        return make_test_sets(
            config, training_texts.gather_texts(config, load_clip("pocket").tokenizer)
        )

    return make


def test_base_to_new(sets):
    base, new = sets(protocol="base_to_new")
    assert (base.prefix, new.prefix) == ("base/", "new/")
    assert [len(x.classnames) for x in (base, new)] == [4, 3]
    assert new.classnames == ("class 4", "class 5", "class 6")
    assert new.split.labels.tolist() == [0, 1, 2]
    # One template for every data set, but CLIP's own for the baseline.
    assert (base.template, base.plain) == ("a photo of a {}.", "{} texture.")


def test_all_classes_and_long_prompts(sets):
    (own,) = sets(protocol="all_classes", length=5)
    assert (own.prefix, len(own.classnames), own.template) == ("", 7, "X X X X X {}.")
    (own,) = sets(protocol="all_classes", test_template="a photo of a {}, a texture.")
    assert own.template == "a photo of a {}, a texture."


def test_an_adapter_overwrites_no_word(sets):
    (own,) = sets(protocol="all_classes", length=16, mapping="linear")
    assert own.template == training_template(settings(length=16, mapping="mlp"))
    assert own.template == "a photo of a {}."


def test_targets_of_one_name_are_refused(sets):
    with pytest.raises(UserError, match="dtd and dtd would both be measured as 'dtd'"):
        sets(protocol="all_classes", targets=("dtd", "dtd"))


def test_cross_dataset(sets):
    own, dtd, eurosat = sets(protocol="cross_dataset", data="imagenet", targets=("dtd", "eurosat"))
    assert own.template == "a photo of a {}."
    assert (dtd.prefix, dtd.template) == ("dtd/", "a photo of a {}, a type of a texture.")
    assert eurosat.template == "a photo of a centered satellite photo of {}."
    _, dtd = sets(protocol="cross_dataset", data="imagenet", targets=("dtd",), length=6)
    assert dtd.template == "X X X X X X {}."


def test_domain_generalisation_is_over_the_classes_that_there_are(sets, monkeypatch):
    few = dataset("dtd", 7)
    few.test.labels[:] = [1, 1, 4, 4, 4, 6, 6]
    monkeypatch.setattr(
        testsets, "open_named", lambda spec, *_: few if spec == "dtd" else dataset(spec, 7)
    )
    _, other = sets(protocol="domain_generalisation", data="imagenet", targets=("dtd",))
    assert other.classnames == ("class 1", "class 4", "class 6")
    assert other.split.labels.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert other.template == "a photo of a {}."


def test_imagenet_a_and_r_are_over_their_own_classes_in_every_protocol(sets, monkeypatch):
    few = dataset("imagenet_r", 7)
    few.test.labels[:] = [1, 1, 4, 4, 4, 6, 6]
    monkeypatch.setattr(
        testsets, "open_named", lambda spec, *_: few if spec == "r" else dataset(spec, 7)
    )
    _, other, whole = sets(protocol="cross_dataset", data="imagenet", targets=("r", "cars"))
    assert (other.paper_name, other.classnames) == ("imagenet_r", ("class 1", "class 4", "class 6"))
    assert len(whole.classnames) == 7


@pytest.mark.parametrize(
    ("name", "plain", "cross"),
    [
        ("oxford_pets", "a photo of a {}, a type of pet.", "a photo of a {}, a type of pet."),
        ("fgvc_aircraft", *["a photo of a {}, a type of aircraft."] * 2),
        ("DescribableTextures", "{} texture.", "a photo of a {}, a type of a texture."),
        ("food-101", "a photo of {}, a type of food.", "a photo of a {}, a type of food."),
        ("ucf101", "a photo of a person doing {}.", "a photo of a {}."),
        ("caltech-101", "a photo of a {}.", "a photo of a {}."),
    ],
)
def test_templates(name, plain, cross):
    assert (own_template(name), cross_template(name)) == (plain, cross)


def test_the_attribute_ensemble_has_the_papers_size():
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 47
