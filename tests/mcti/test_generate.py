"""`generate` without a run: any model, words of any tool, and pictures that are drawn again."""

import numpy as np
import pytest
from PIL import Image

from common.diffusion import load_stable_diffusion
from common.errors import UserError
from common.pictures import read_png_texts
from mcti_jax import load_tokens
from mcti_jax.drawing import draw_prompts
from mcti_jax.formats import LearnedToken, write_token
from tests.hostile import commands
from tests.mcti.tiny_models import IMAGE, WIDTH, write_tiny_models

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
PROMPT = "a photo of a (<dog2>:1.3) on sand"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tiny models, and embeddings: of ours, of a web UI, and for a wider text tower."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_models(folder)
    rng = np.random.default_rng(0)

    def write(name, width, format, vectors=2):
        rows = rng.standard_normal((vectors, width)).astype(np.float32)
        return write_token(folder / format, LearnedToken(f"<{name}>", rows), format)

    write("dog2", WIDTH, "diffusers")
    write("my-cat", WIDTH, "a1111", vectors=3)
    write("wide", 768, "kohya")
    return folder


def run(world, *options):
    return commands.run("mcti_jax.generate", *(option.format(w=world) for option in options))


BASICS = ("--model={w}/sd", "--steps=2", "--num=2", "--seed=7", "--guidance=2")
EMBEDDINGS = ("--embedding={w}/diffusers/dog2.safetensors", "--embedding={w}/a1111")


@pytest.fixture(scope="module")
def drawn(world):
    """A grid and its pictures."""
    done = run(
        world,
        *(*BASICS, *EMBEDDINGS, "--weighted", "--width=32", "--negative=my-cat, a (cat:1.5)"),
        *(f"--prompt={PROMPT}", "--prompt=" + "a <my-cat>, " * 40),
        *("--out={w}/grid.png", "--pictures={w}/each"),
    )
    assert done.status == 0, done.err
    return world / "grid.png"


def test_pictures_are_those_of_python(world, drawn):
    tokens = load_tokens(world / "diffusers") | load_tokens(world / "a1111")
    pictures = load_stable_diffusion(str(world / "sd")).draw(
        [PROMPT, "a <my-cat>, " * 40],
        2,
        negative="my-cat, a (cat:1.5)",
        tokens=tokens,
        width=32,
        weighted=True,
        **{"steps": 2, "seed": 7, "guidance": 2.0},
    )
    assert sorted(path.name for path in (world / "each").iterdir()) == [
        f"{number:04}.png" for number in range(4)
    ]
    for number, picture in enumerate(pictures):
        assert picture.size == (32, IMAGE)
        with Image.open(world / "each" / f"{number:04}.png") as file:
            np.testing.assert_array_equal(np.asarray(file), np.asarray(picture))


def test_files_say_what_they_show(drawn, world):
    texts = read_png_texts(world / "each" / "0003.png")
    assert texts["parameters"].startswith("a <my-cat>, a <my-cat>, ")
    assert (
        "\nNegative prompt: my-cat, a (cat:1.5)\nSteps: 2, Sampler: DPM++ 2M"
        in (texts["parameters"])
    )
    assert texts["parameters"].endswith(f"Seed: 7, Size: 32x{IMAGE}, Model: sd")
    assert read_png_texts(drawn)["parameters"].startswith(PROMPT)


@pytest.mark.parametrize("name", ["grid.png", "each/0002.png"])
def test_a_file_is_drawn_again_to_the_byte(world, drawn, name):
    done = run(world, f"--again={world / name}", *EMBEDDINGS, "--out={w}/again.png")
    assert done.status == 0, done.err
    assert (world / "again.png").read_bytes() == (world / name).read_bytes()


def test_a_prompt_that_looks_weighted_is_said_to_be_plain(world):
    done = run(world, *BASICS, "--prompt=a (dog:1.3)", "--out={w}/plain.png")
    assert done.status == 0, done.err
    assert "'a (dog:1.3)' looks weighted, and is read as plain text without --weighted" in done.out
    quiet = run(world, *BASICS, "--prompt=a dog", "--out={w}/plain.png")
    assert "looks weighted" not in quiet.out + quiet.err


def test_a_learned_word_without_its_brackets_is_said_to_be_plain(world):
    prompts = ("--prompt=a dog2", "--prompt=a <dog2> beside a dog2", "--prompt=a dog")
    done = run(world, *BASICS, *EMBEDDINGS, *prompts, "--out={w}/plain.png")
    assert done.status == 0, done.err
    told = [line for line in done.out.splitlines() if "brackets" in line]
    assert told == ["'a dog2' is drawn without <dog2>, which it names without brackets."]


def test_a_negative_prompt_without_guidance_is_said_to_change_nothing(world):
    options = BASICS[:-1], "--prompt=a dog", "--negative=sand", "--out={w}/plain.png"
    done = run(world, *options[0], "--guidance=0", *options[1:])
    assert done.status == 0, done.err
    assert "negative='sand' is not read with guidance=0, which is none." in done.out
    guided = run(world, *options[0], "--guidance=2", *options[1:])
    assert "is not read" not in guided.out


DRAW = (*BASICS, "--prompt=a dog", "--out={w}/new.png")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((*BASICS, "--prompt=a dog"), "there is neither --out nor --pictures"),
        (("--prompt=a dog", "--out={w}/new.png"), "there is neither --workdir nor --model"),
        ((*BASICS, "--out={w}/new.png"), "there is no --prompt"),
        ((*DRAW, "--width=31"), "--width=31 is not a multiple of"),
        ((*DRAW, "--height=0"), "--height=0 is out of range: give a number from 1 to 4096"),
        ((*DRAW, "--sampler=magic"), "--sampler"),
        ((*DRAW, "--guidance=nan"), "--guidance=nan is out of range"),
        ((*DRAW, "--guidance=-1"), "--guidance=-1.0 is out of range: give a number from 0 to 100"),
        ((*DRAW, "--weighted", "--prompt=(a:1.2.3)"), "'1.2.3' in the prompt"),
        ((*DRAW, "--weighted", "--negative=[a:b:0.5]"), "would change the prompt between steps"),
        ((*DRAW, "--prompt=" + "dog " * 76), "75 fit: shorten it, or draw with --weighted"),
        ((*DRAW, "--prompt=a <dog2>"), "<dog2> was not learned; the words are none"),
        ((*DRAW, "--embedding={w}/none.pt"), "there is no file or directory"),
        ((*DRAW, "--embedding={w}/kohya"), "the vectors of <wide> are 768 wide"),
        ((*DRAW, "--embedding={w}/a1111", "--embedding={w}/a1111"), "claim the word <my-cat>"),
        (("--again={w}/none.png", "--out={w}/new.png"), "none.png' is missing"),
        (("--again={w}/grid.png", "--out={w}/new.png"), "the picture shows '<dog2>'"),
        (("--again={w}/grid.png", "--out={w}/new.png", "--seed=1"), "leave --seed out"),
        (("--again={w}/grid.png", *EMBEDDINGS, "--model=pocket", "--out={w}/new.png"), "its own"),
    ],
)
def test_bad_options_are_one_sentence(world, drawn, options, sentence):
    done = run(world, *options)
    assert done.status == 2
    assert sentence in done.err.strip().splitlines()[-1]
    assert "Traceback" not in done.err and not (world / "new.png").exists()


def test_no_prompt_at_all_is_refused_in_python_too():
    with pytest.raises(UserError, match="there is no --prompt"):
        draw_prompts(None, [], model="pocket")
