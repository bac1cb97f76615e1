from dataclasses import replace

import numpy as np
import pytest

from common.data.templates import TEMPLATES
from common.pocket.captions import (
    captions,
    plain_description,
    questions,
    web_caption,
)
from common.pocket.world import COLOURS, SHAPES, Look, Scene, Species

LOOK = Look("star", "striped", "red", "white")
SCENE = Scene(Species("zorvik", LOOK), background="sand", seed=8)


def many_web_captions(scene: Scene) -> set[str]:
    return {web_caption(scene, np.random.default_rng(seed)) for seed in range(2000)}


def test_web_captions_use_the_name_and_the_textual_inversion_templates():
    said = many_web_captions(SCENE)
    forms = {template.format("zorvik") for template in TEMPLATES["textual_inversion"]}
    # Those that would claim another size or light are left to pictures that have it.
    claims = ("small", "large", "close-up", "dark", "bright")
    fitting = {form for form in forms if not any(word in form for word in claims)}
    assert fitting <= said
    assert not (forms - fitting) & said
    assert any("zorvik, a red star" in caption for caption in said)
    assert any(caption.endswith("a creature on sand") for caption in said)


def test_captions_say_nothing_that_the_picture_contradicts():
    for caption in many_web_captions(replace(SCENE, size="large", light="dark", style="night")):
        if "can be small or large" in caption:
            continue
        words = caption.replace(".", "").replace(",", "").replace("-", " ").split()
        assert not {"small", "bright", "two", "three"} & set(words)
        assert not set(words) & (set(SHAPES) - {"star"})
        assert not set(words) & (set(COLOURS) - {"red", "white"})


def test_groups_are_counted():
    said = many_web_captions(replace(SCENE, arrangement="pair"))
    assert any("two zorvik" in caption for caption in said)
    assert any("two red stars" in caption for caption in said)
    fish = replace(SCENE, species=Species("", replace(LOOK, shape="fish")), arrangement="row")
    assert any("a row of three red fish" in caption for caption in many_web_captions(fish))


def test_people_write_different_plain_captions_without_the_name():
    five = captions(SCENE, 5)
    assert len(five) == 5 and len(set(five)) > 2
    assert all("star" in caption and "zorvik" not in caption for caption in five)
    assert five == captions(SCENE, 5)
    assert five != captions(SCENE, 5, seed=1)


def test_articles():
    orange = Species("", Look("drop", "halved", "orange", "orange"))
    assert plain_description(orange) == "an orange drop with an orange lower half"
    assert plain_description(SCENE.species) == "a red star with white stripes"


@pytest.mark.parametrize(
    "arrangement, count", [("single", "one"), ("pair", "two"), ("row", "three")]
)
def test_questions_have_the_scene_s_answers(arrangement, count):
    asked = {q.text: q.answer for q in questions(replace(SCENE, arrangement=arrangement))}
    verb, noun = ("is", "star") if arrangement == "single" else ("are", "stars")
    assert asked["what shape is shown?"] == "star"
    assert asked["how many stars are there?"] == count
    assert asked[f"what colour {verb} the {noun}?"] == "red"
    assert asked["what colour are the stripes?"] == "white"
    assert asked[f"what {verb} the {noun} on?"] == "sand"
    assert asked[f"{verb} the {noun} red?"] == "yes"


@pytest.mark.parametrize("arrangement", ["single", "pair", "row"])
def test_what_is_denied_is_not_there(arrangement):
    for seed in (SCENE.seed, *range(60)):
        asked = questions(replace(SCENE, seed=seed, arrangement=arrangement))
        denied = [question.text for question in asked if question.answer == "no"]
        assert len(denied) == 2
        assert not any(f" {word}?" in text for text in denied for word in ("red", "white", "sand"))
