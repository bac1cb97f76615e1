"""What pictures were drawn from, in their files: written, read and drawn again."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from common.diffusion import SAMPLERS
from common.diffusion.infotext import sampler_facts
from common.diffusion.record import KEYWORD, Drawing, digest_of, digests_of_used
from common.errors import UserError
from common.pictures import read_png_texts, write_png
from tests.diffusion.test_front_door import Stub

DRAWING = Drawing(
    model="pocket",
    fingerprint="small",
    dtype="float32",
    prompts=("a (red:1.3) dog", "a <two>, 犬"),
    negative="a cat",
    num=2,
    seed=2**63 + 1,
    steps=3,
    sampler="dpmpp_2m_karras",
    guidance=2.1,
    width=16,
    height=32,
    weighted=True,
    batch=4,
    words={},
)
PIXELS = np.zeros((4, 6, 3), np.uint8)
WORDS = {"<two>": np.eye(2, 24, dtype=np.float32), "<other>": np.ones((1, 24), np.float32)}


def written(path, drawing=DRAWING, **changes):
    """A PNG that says what `drawing` says, but for some fields."""
    content = json.loads(drawing.png_texts()[KEYWORD]) | changes
    write_png(path, PIXELS, {KEYWORD: json.dumps(content)})
    return path


def test_what_is_written_is_read(tmp_path):
    for drawing in (DRAWING, dataclasses.replace(DRAWING, picture=3, words={"<two>": "ab"})):
        path = tmp_path / "a.png"
        write_png(path, PIXELS, drawing.png_texts())
        assert Drawing.from_png(path) == drawing
        assert read_png_texts(path)["parameters"] == drawing.parameters()
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), PIXELS)


def test_web_uis_read_the_settings():
    assert DRAWING.parameters() == (
        "a (red:1.3) dog\nNegative prompt: a cat\nSteps: 3, Sampler: DPM++ 2M, "
        "Schedule type: Karras, CFG scale: 2.1, Seed: 9223372036854775809, Size: 16x32, "
        "Model: pocket"
    )
    second = dataclasses.replace(
        DRAWING, picture=2, negative="", model="/home/a, b/", sampler="euler"
    )
    assert second.parameters() == (
        "a <two>, 犬\nSteps: 3, Sampler: Euler, CFG scale: 2.1, Seed: 9223372036854775809, "
        'Size: 16x32, Model: "a, b"'
    )


def test_brackets_of_a_plain_prompt_stay_text_in_web_uis():
    plain = dataclasses.replace(DRAWING, weighted=False, negative="[cat]")
    assert plain.parameters().startswith("a \\(red:1.3\\) dog\nNegative prompt: \\[cat\\]\n")


def test_every_sampler_has_a_name_in_web_uis():
    names = {name: tuple(sampler_facts(name).values()) for name in SAMPLERS}
    assert len(set(names.values())) == len(SAMPLERS)
    assert all(name[0] != sampler for sampler, name in names.items() if sampler != "checkpoint")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"prompts": []}, "prompts=.* is not a list of 1 to 1024 texts"),
        ({"prompts": "a"}, "prompts='a' in .* is not a list of texts"),
        ({"model": "a\x1b[2J"}, "model=.* is not a name"),
        ({"model": None}, "lacks model"),
        ({"dtype": "float64"}, "dtype='float64' is unknown"),
        ({"sampler": "magic"}, "sampler='magic' in .* is not one of"),
        ({"steps": 0}, "steps=0 in .* is not a whole number from 1 to 1000"),
        ({"seed": -1}, "seed=-1"),
        ({"num": 10**9}, "num=1000000000"),
        ({"width": 10**6}, "width=1000000"),
        ({"guidance": "much"}, "guidance='much'"),
        ({"words": []}, "words="),
        ({"words": {"<a>": 3}}, "words.<a>=3"),
        ({"picture": 4}, "picture=4 in .* is not the number of a picture"),
    ],
)
def test_a_record_of_others_is_checked(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        Drawing.from_png(written(tmp_path / "a.png", **changes))
    assert "give a PNG that" in str(caught.value) or "dtype" in changes


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "[" * 1000])
def test_what_is_not_a_record(tmp_path, text):
    write_png(tmp_path / "a.png", PIXELS, {KEYWORD: text})
    with pytest.raises(UserError, match=r"a\.png' (is damaged|does not say what it)"):
        Drawing.from_png(tmp_path / "a.png")


def test_what_is_not_a_png_with_texts(tmp_path):
    write_png(tmp_path / "plain.png", PIXELS)
    with pytest.raises(UserError, match="does not say what it was drawn from"):
        Drawing.from_png(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(PIXELS).save(tmp_path / "photo.jpg")
    for name in ("text.png", "photo.jpg", "missing.png"):
        with pytest.raises(UserError, match=rf"{name}.*: give a PNG picture"):
            Drawing.from_png(tmp_path / name)
    bomb = PngInfo()
    bomb.add_text(KEYWORD, " " * 2**24, zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "bomb.png", pnginfo=bomb)
    with pytest.raises(UserError, match=r"bomb.png.*: give a PNG"):
        Drawing.from_png(tmp_path / "bomb.png")


def test_the_words_of_prompts_are_named(model):
    prompts = ("a (<Two>:1.2) dog", "two other")
    digests = digests_of_used(model, WORDS, prompts, True)
    assert digests == {"<two>": digest_of(WORDS["<two>"])}
    with pytest.raises(UserError, match="<fox> was not learned"):
        digests_of_used(model, WORDS, ["a <fox>"], False)


def test_another_model_or_other_words_are_refused(model):
    drawing = dataclasses.replace(DRAWING, words={"<two>": digest_of(WORDS["<two>"])})
    drawing.require_same(model, WORDS)
    with pytest.raises(UserError, match="the picture shows '<two>': give its vectors"):
        drawing.require_same(model, {})
    with pytest.raises(UserError, match="the vectors of '<two>' are not those"):
        drawing.require_same(model, {"<two>": 2 * WORDS["<two>"]})
    with pytest.raises(UserError, match="weights small of 'pocket', and these are else"):
        drawing.require_same(dataclasses.replace(model, fingerprint="else"), WORDS)


@pytest.mark.usefixtures("quick_compiler")
@pytest.mark.parametrize("changes", [{}, {"weighted": False, "sampler": "ddpm"}])
def test_a_picture_is_drawn_again(model, tmp_path, changes):
    modules = dataclasses.replace(model.modules, unet=Stub(model.unet.config))
    sd = dataclasses.replace(model, modules=modules)
    words = {"<two>": digest_of(WORDS["<two>"])}
    drawing = dataclasses.replace(DRAWING, words=words, **changes)
    pictures = drawing.draw(sd, WORDS)
    again = Drawing.from_png(written(tmp_path / "a.png", drawing)).draw(sd, WORDS)
    assert pictures.shape == (4, 32, 16, 3) and (pictures[0] != pictures[2]).any()
    np.testing.assert_array_equal(again, pictures)
