"""Runs on a tiny Stable Diffusion XL: a vector for each text encoder, from photos to files."""

import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

import mcti_jax
from common.config import read_config
from common.data.templates import TEMPLATES
from common.diffusion.text_encoder import FIRST, SECOND
from common.diffusion.text_encoding import encode_prompts
from common.training.mesh import make_mesh
from configs.mcti import defaults, get_config
from mcti_jax.conditions import conditions_of, read_prompts
from mcti_jax.method import MCTI
from mcti_jax.publishing import describe_tokens
from mcti_jax.readers import readers_of
from mcti_jax.starts import nearest_words
from mcti_jax.widths import KEYS, by_encoder, split
from tests.hostile import commands
from tests.mcti.tiny_xl import WIDTHS, TinyXL, tiny_xl
from tests.mcti.xl_problem import xl_problem

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
FILE = Path(__file__).resolve().parents[2] / "configs" / "mcti.py"
VECTORS, UPDATES = 2, 4


def write_photos(folder: Path, names: tuple[str, ...]) -> None:
    generator = np.random.default_rng(len(names))
    for name in names:
        colour = generator.integers(0, 256, 3)
        for shot in range(3):
            noise = generator.integers(-30, 30, (20, 24, 3))
            photo = Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))
            (folder / name).mkdir(parents=True, exist_ok=True)
            photo.save(folder / name / f"{shot}.png")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyXL:
    return tiny_xl(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def world(tiny, tmp_path_factory) -> Path:
    """The models, and photos of three classes."""
    directory = tmp_path_factory.mktemp("world")
    tiny.save(directory)
    write_photos(directory / "photos", ("red dog", "dog2", "cat"))
    write_photos(directory / "more", ("mug", "fox"))
    return directory


def run(command: str, *options: object) -> commands.CommandResult:
    return commands.run(f"mcti_jax.{command}", *map(str, options))


def train(world: Path, name: str, **changes: object) -> commands.CommandResult:
    fields = {
        "model": world / "sd",
        "clip": world / "clip_g",
        "data": f"folder:{world / 'photos'}",
        "vectors": VECTORS,
        "updates": UPDATES,
        "steps_per_call": 2,
        "save_every": 2,
        "samples": 2,
        "learning_rate": 0.01,
        "compare_ti": False,
        "cache": world / "features",
        "compile_cache": world / "xla",
        "mesh.data": 1,
        "generate.per_class": 1,
        "generate.steps": 1,
        **changes,
    }
    arg = ",".join(f"{key}={value}" for key, value in fields.items())
    return run("train", f"--config={FILE}:{arg}", f"--workdir={world / name}")


@pytest.fixture(scope="module")
def finished(world) -> Path:
    done = train(world, "run")
    assert done.status == 0, done.err
    return world / "run"


def vectors_in(workdir: Path) -> dict[str, dict[str, np.ndarray]]:
    return {file.stem: load_file(file) for file in sorted((workdir / "tokens").iterdir())}


def test_keys_are_those_of_the_text_encoders():
    assert (FIRST.vectors, SECOND.vectors) == KEYS


def test_learns_under_the_conditions_that_pictures_are_drawn_under(tiny):
    """States, pooled text and sizes, for every prompt of training."""
    problem = xl_problem(tiny)
    networks, frozen, vectors = problem.objective.networks, problem.frozen, problem.tokens[1]
    template = jnp.arange(27)

    @jax.jit
    def conditions(frozen, vectors):
        outputs = [
            read_prompts(
                encoder.tower,
                frozen["params"][encoder.part.params],
                prompts,
                template,
                jnp.repeat(part[None], 27, axis=0),
            )
            for encoder, prompts, part in zip(
                networks.text, frozen["prompts"], split(vectors, WIDTHS), strict=True
            )
        ]
        return conditions_of(networks, frozen, outputs, template, (4, 6))

    frozen = {name: frozen[name] for name in ("params", "prompts")}
    states, added = conditions(frozen, jnp.asarray(vectors))
    texts = [text.replace("{}", "<x>") for text in TEMPLATES["textual_inversion"]]
    drawn = encode_prompts(tiny.sd, texts, {"<x>": by_encoder(vectors, WIDTHS)})
    np.testing.assert_allclose(states, drawn.states, atol=1e-5)
    np.testing.assert_allclose(added.text_embeds, drawn.pooled, atol=1e-5)
    np.testing.assert_array_equal(added.time_ids, [[16, 24, 0, 0, 16, 24]] * 27)


@pytest.mark.parametrize(("number", "alpha"), [(0, 0.0), (1, 0.0), (1, 1.0)])
def test_each_term_reaches_its_encoders(number, alpha, tiny):
    """The class feature is of one text encoder; the U-Net attends to both."""
    problem = xl_problem(tiny, number, alpha=alpha)
    gradient = np.asarray(problem.differentiate(problem.tokens, problem.draws())[2])
    reached = [bool(np.abs(part).min() > 0) for part in split(gradient, WIDTHS)]
    touched = [bool(part.any()) for part in split(gradient, WIDTHS)]
    assert reached == touched == ([True, True] if alpha else [n == number for n in (0, 1)])


def test_a_run_leaves_both_vectors(finished):
    files = vectors_in(finished)
    assert sorted(files) == ["cat", "dog2", "red-dog"]
    for vectors in files.values():
        shapes = {key: x.shape for key, x in vectors.items()}
        assert shapes == dict(zip(KEYS, ((VECTORS, w) for w in WIDTHS), strict=True))
    result = json.loads((finished / "result.json").read_text())
    assert {"accuracy", "generated/accuracy", "drift/norm"} <= set(result["metrics"])
    words = [token["word"] for token in result["details"]["tokens"]]
    assert words[:4] == ["<cat> clip_l", "<cat> clip_g"] * 2
    done = run("evaluate", f"--workdir={finished}")
    assert done.status == 0, done.err
    (file,) = (finished / "eval").glob("*.json")
    assert json.loads(file.read_text())["metrics"]["accuracy"] == result["metrics"]["accuracy"]


def test_a_run_in_python(finished, world):
    learned = mcti_jax.load(finished)
    photos = sorted((world / "photos").glob("*/*.png"))
    assert set(learned.classify(photos).names) <= {"red dog", "dog2", "cat"}
    (picture,) = learned.draw("a photo of <dog2>", steps=1)
    assert picture.size == (16, 16)
    for word, vectors in mcti_jax.load_tokens(finished / "tokens").items():
        stored = vectors_in(finished)[word.strip("<>")]
        assert set(vectors) == set(KEYS)
        for key in KEYS:
            np.testing.assert_array_equal(vectors[key], stored[key])


def test_pictures_and_files(finished, tmp_path):
    prompt = ("--prompt=a photo of <dog2> on a <red-dog>", "--steps=1", "--num=1")
    done = run("generate", f"--workdir={finished}", *prompt, f"--out={tmp_path / 'a.png'}")
    assert done.status == 0, done.err
    for name in ("a1111", "kohya", "diffusers"):
        out = tmp_path / name
        done = run("export", f"--workdir={finished}", f"--format={name}", f"--out={out}")
        assert done.status == 0, done.err
        assert "embedding:cat in ComfyUI" in done.out
        assert (out / "cat.safetensors").read_bytes() == (
            finished / "tokens" / "cat.safetensors"
        ).read_bytes()
    done = run("export", f"--workdir={finished}", "--format=bin", f"--out={tmp_path / 'bin'}")
    assert (done.status, (tmp_path / "bin").exists()) == (2, False)
    assert "format=bin has no place for the two text encoders" in done.err
    done = run(
        "generate", "--model=pocket", f"--embedding={finished / 'tokens'}", *prompt, "--out=x.png"
    )
    assert done.status == 2
    assert "are 16 and 24 wide (another model), but 128 was expected" in done.err


def test_a_run_that_was_stopped(finished, world, tmp_path):
    """It goes on to the same bytes, and before that its newest checkpoint can be exported."""
    stopped = world / "stopped"
    shutil.copytree(finished, stopped)
    (stopped / "result.json").unlink()
    shutil.rmtree(stopped / "tokens")
    shutil.rmtree(stopped / "checkpoints" / f"{UPDATES:08}")
    done = run("export", f"--workdir={stopped}", f"--out={tmp_path / 'tokens'}")
    assert done.status == 0, done.err
    on_the_way = vectors_in(tmp_path)
    done = train(world, "stopped")
    assert done.status == 0, done.err
    assert "Resuming" in done.out
    for stem, vectors in vectors_in(finished).items():
        for key in KEYS:
            np.testing.assert_array_equal(vectors_in(stopped)[stem][key], vectors[key])
            assert np.abs(on_the_way[stem][key] - vectors[key]).max() > 0


def test_further_classes_beside_those_of_a_run(finished, world):
    """Denoising left out, the other encoder's vectors stay the noun but for AdamW's decay."""
    options = {"start": finished, "add": f"folder:{world / 'more'}", "alpha": 0}
    done = train(world, "further", **options, **{"generate.per_class": 0})
    assert done.status == 0, done.err
    files, before = vectors_in(world / "further"), vectors_in(finished)
    assert sorted(files) == ["cat", "dog2", "fox", "mug", "red-dog"]
    for stem, vectors in before.items():
        for key in KEYS:
            np.testing.assert_array_equal(files[stem][key], vectors[key])
    np.testing.assert_array_equal(files["fox"]["clip_l"], files["mug"]["clip_l"])
    assert np.abs(files["fox"]["clip_g"] - files["mug"]["clip_g"]).min() > 0


@pytest.mark.parametrize("changes", ["alpha=1", "alpha=0,generate.per_class=0,clip={}/clip_l"])
def test_the_described_tree_is_the_loaded_one(world, changes):
    where = f"model={world}/sd,clip={world}/clip_g,data=folder:{world}/photos,vectors=2"
    config = get_config(f"{where},cache={world}/features,{changes.format(world)}").lock()
    mesh = make_mesh(1, 1)
    method = MCTI(config)
    trees = method.load(mesh).frozen, MCTI(config).abstract(mesh).frozen
    loaded, described = (jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree) for tree in trees)
    assert described == loaded
    # Where nothing is denoised and drawn, the text encoders alone are loaded.
    assert ("unet" in method.material.sd.params) == bool(config.alpha)


def test_words_near_photos_have_a_row_of_each_table(tiny, tmp_path):
    readers, clip = readers_of(tiny.sd), tiny.clips[1]
    means = clip.text_features(["a photo of a dog", "a photo of a fox"])
    words, vectors = nearest_words(clip, readers, means, 2, tmp_path)
    assert [near[0] for near in words] == ["dog", "fox"]
    for reader, part in zip(readers, split(vectors, WIDTHS), strict=True):
        ids = [[reader.tokenizer.encode(word)[0] for word in near] for near in words]
        np.testing.assert_array_equal(part, np.asarray(reader.table)[np.array(ids)])


def test_the_card_says_how_diffusers_loads_them(finished):
    usage = describe_tokens(read_config(finished, defaults()), finished).usage
    code = usage.split("```python\n")[1].split("```")[0]
    compile(code.replace("{repository}", "me/mine"), "card", "exec")
    for part in ("{'<cat>': 'cat.safetensors', ", 'f"tokens/{file}"', 'hf_hub_download("{repo'):
        assert part in code


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clip": "pocket"}, "has text widths 16 and 24 but clip='pocket' has 128"),
        ({"start": "one"}, "are 16 wide (another model), but 16 and 24 was expected"),
        ({"start": "other"}, "are 8 and 8 wide (another model), but 16 and 24 was expected"),
    ],
)
def test_what_does_not_fit(world, changes, sentence, tmp_path):
    widths = {"one": (16,), "other": (8, 8)}
    if name := changes.get("start"):
        vectors = np.ones((VECTORS, sum(widths[name])), np.float32)
        token = mcti_jax.LearnedToken("<cat>", vectors, widths=widths[name])
        changes = {"start": mcti_jax.write_token(tmp_path, token, "diffusers")}
    done = train(world, "refused", **changes)
    assert (done.status, (world / "refused").exists()) == (2, False)
    assert sentence in done.err
