"""Tokens that begin as something else than a noun, and classes added to a finished run."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import mcti_jax
from common.clip import load_clip
from common.data import FeatureDataset, FeatureSplit, open_dataset
from common.data.joined import join
from common.diffusion import load_stable_diffusion
from common.errors import UserError
from mcti_jax.formats import LearnedToken, read_tokens, token_words, write_token
from mcti_jax.material import gather
from mcti_jax.readers import readers_of
from mcti_jax.starts import (
    first_vectors,
    learned_before,
    learned_classes,
    nearest_words,
    whole_words,
)
from mcti_jax.unfinished import unfinished_tokens
from tests.hostile import commands
from tests.mcti.tiny import settings
from tests.mcti.tiny_models import write_tiny_models

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")
NAMES = ("red dog", "cat", "mug")
WIDTH, MODEL = 8, "a" * 16


def token(word, value, **metadata):
    return LearnedToken(word, np.full((1, WIDTH), value, np.float32), metadata)


def known(folder, **changes):
    return learned_before(settings(start=str(folder), **changes), NAMES, (WIDTH,), MODEL)


class TestTokensOfAFolder:
    def test_belong_to_the_class_that_they_were_learned_for_or_are_called_by(self, tmp_path):
        facts = {"class": "red dog", "class_index": "7", "fingerprint": MODEL}
        write_token(tmp_path, token("<something>", 1.0, **facts), "diffusers")
        write_token(tmp_path, token("<mug>", 2.0), "a1111")
        write_token(tmp_path, token("<hat>", 3.0), "diffusers")
        found = known(tmp_path)
        assert {number: float(each.vectors[0, 0]) for number, each in found.items()} == {0: 1, 2: 2}
        first = first_vectors(found, np.zeros((3, 1, WIDTH)))
        np.testing.assert_array_equal(first[:, 0, 0], [1, 0, 2])

    @pytest.mark.parametrize("names", [("crane", "cat", "crane"), ("red dog", "cat", "red-dog")])
    def test_classes_of_one_name_or_word_have_a_token_each(self, tmp_path, names):
        for number, (name, word) in enumerate(zip(names, token_words(names), strict=True)):
            facts = {"class": name, "class_index": str(number)}
            write_token(tmp_path, token(word, number + 1.0, **facts), "diffusers")
        config = settings(start=str(tmp_path))
        found = learned_before(config, names, (WIDTH,), MODEL)
        assert [float(found[number].vectors[0, 0]) for number in range(3)] == [1, 2, 3]

    def test_one_of_no_class_is_where_all_begin(self, tmp_path):
        write_token(tmp_path, token("<style>", 4.0), "kohya")
        (file,) = tmp_path.iterdir()
        assert {number: each.token for number, each in known(file).items()} == dict.fromkeys(
            range(3), "<style>"
        )

    @pytest.mark.parametrize(
        ("tokens", "changes", "sentence"),
        [
            ([("<hat>", {}), ("<cup>", {})], {}, r"tokens of 'cup', 'hat' and none of the classes"),
            ([("<mug>", {})], {"vectors": 2}, "has 1 vector and vectors=2: give vectors=1"),
            (
                [("<mug>", {"fingerprint": "b" * 16, "base_model": "x"})],
                {},
                "learned for x .* dtype",
            ),
            ([], {}, "no learned tokens|holds no"),
        ],
        ids=["no class", "vectors", "model", "nothing"],
    )
    def test_that_do_not_fit(self, tmp_path, tokens, changes, sentence):
        for word, facts in tokens:
            write_token(tmp_path, token(word, 1.0, **facts), "diffusers")
        with pytest.raises(UserError, match=sentence):
            known(tmp_path, **changes)


class TestLearnedClasses:
    def test_are_all_or_those_named_or_those_added(self):
        tokens = dict.fromkeys(range(3), token("<x>", 1.0))
        assert learned_classes(settings(), NAMES, (), {}) == (0, 1, 2)
        assert learned_classes(settings(learn=("mug",)), NAMES, (), tokens) == (2,)
        assert learned_classes(settings(), NAMES, ("cat", "mug"), tokens) == (1, 2)

    @pytest.mark.parametrize(
        ("learn", "sentence"),
        [(("cup",), "learn='cup' names none of"), (("mug",), "learn='mug' leaves out 'red dog'")],
    )
    def test_that_cannot_be(self, learn, sentence):
        tokens = {1: token("<cat>", 1.0)}
        with pytest.raises(UserError, match=sentence):
            learned_classes(settings(learn=learn, start="run"), NAMES, (), tokens)

    def test_that_have_no_tokens(self):
        """Whether a run lacks some, or `start` is the word for photos."""
        for start in ("run", "photos"):
            said = f"learn='mug' leaves out 'red dog', 'cat', for which start='{start}' names no"
            with pytest.raises(UserError, match=said):
                learned_classes(settings(learn=("mug",), start=start), NAMES, (), {})
        with pytest.raises(UserError, match="add='more' leaves out 'red dog', 'cat'"):
            learned_classes(settings(add="more", start="run"), NAMES, ("mug",), {})


def test_words_near_photos_are_whole_words(tmp_path):
    clip, sd = load_clip("pocket"), load_stable_diffusion("pocket")
    table = np.asarray(sd.params["text"]["token_embedding"])
    ids = whole_words(sd.tokenizer, len(table))
    words = [sd.tokenizer.word(number) for number in ids]
    assert {"star", "red", "photo"} <= set(words) and all(word.isalpha() for word in words)
    wanted = ["star", "fish", "drop"]
    means = clip.text_features([f"a photo of a {word}" for word in wanted])
    near, vectors = nearest_words(clip, readers_of(sd), means, 2, tmp_path)
    assert [first for first, _ in near] == wanted
    rows = [[ids[words.index(word)] for word in pair] for pair in near]
    np.testing.assert_array_equal(vectors, table[np.array(rows)].astype(np.float32))
    with pytest.raises(UserError, match="give fewer vectors"):
        nearest_words(clip, readers_of(sd), means, 5000, tmp_path)


class TestJoinedData:
    def test_has_the_classes_of_both(self):
        rare, second = open_dataset("pocket:rare"), open_dataset("pocket:second")
        both = join(rare, second)
        assert both.classnames == rare.classnames + second.classnames and both.val is None
        for part in ("train", "test"):
            first, other, whole = (getattr(each, part) for each in (rare, second, both))
            assert whole.names == first.names + other.names
            np.testing.assert_array_equal(whole.labels[: len(first)], first.labels)
            np.testing.assert_array_equal(
                whole.labels[len(first) :], other.labels + len(rare.classnames)
            )

    def test_of_features(self):
        def features(name, width, *classes):
            split = FeatureSplit(np.arange(len(classes)), np.ones((len(classes), width)))
            return FeatureDataset(name, classes, split, split)

        both = join(features("a", 3, "x", "y"), features("b", 3, "z"))
        assert both.train.labels.tolist() == [0, 1, 2] and both.test.features.shape == (3, 3)
        with pytest.raises(UserError, match="width 3 and of width 4"):
            join(features("a", 3, "x"), features("b", 4, "z"))
        with pytest.raises(UserError, match="both have 'x'"):
            join(features("a", 3, "x"), features("b", 3, "x"))
        with pytest.raises(UserError, match="one holds photos"):
            join(open_dataset("pocket:rare"), features("b", 3, "x"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Tiny models, a run on two classes, and photos of a third one."""
    folder = tmp_path_factory.mktemp("world")
    write_tiny_models(folder)
    generator = np.random.default_rng(0)
    for place in ("photos/red dog", "photos/cat", "more/mug"):
        (folder / place).mkdir(parents=True)
        colour = generator.integers(0, 256, 3)
        for shot in range(4):
            pixels = np.clip(colour + generator.integers(-30, 30, (20, 24, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / place / f"{shot}.png")
    fields = {
        "model": folder / "sd",
        "clip": folder / "clip",
        "data": f"folder:{folder}/photos",
        "alpha": 0,
        "updates": 4,
        "steps_per_call": 2,
        "log_every": 2,
        "save_every": 2,
        "samples": 1,
        "learning_rate": 0.01,
        "cache": folder / "features",
        "compile_cache": folder / "xla",
        "mesh.data": 1,
        "generate.per_class": 0,
    }
    arg = ",".join(f"{name}={value}" for name, value in fields.items())
    config = f"--config=mcti.py:{arg}"
    done = commands.run("mcti_jax.train", config, f"--workdir={folder}/first")
    assert done.status == 0, done.err
    return SimpleNamespace(folder=folder, config=config)


@pytest.fixture(scope="module")
def added(world):
    """A run that has added the third class."""
    more = f",start={world.folder}/first,add=folder:{world.folder}/more"
    done = commands.run("mcti_jax.train", world.config + more, f"--workdir={world.folder}/added")
    assert done.status == 0, done.err
    return SimpleNamespace(folder=world.folder / "added", out=done.out, config=world.config + more)


def vectors_of(folder):
    return {each.metadata["class"]: each.vectors for each in read_tokens(folder / "tokens")}


def test_a_class_is_added_to_a_finished_run(world, added):
    before, after = vectors_of(world.folder / "first"), vectors_of(added.folder)
    assert list(before) == ["cat", "red dog"] and set(after) == {*before, "mug"}
    for name, vectors in before.items():
        np.testing.assert_array_equal(after[name], vectors)
    assert "first: 2 classes keep their tokens" in added.out
    for name in ("cat", "red-dog"):  # They say where they come from, and only the place moved.
        assert b'"step":"4"' in (added.folder / f"tokens/{name}.safetensors").read_bytes()
    result = json.loads((added.folder / "result.json").read_text())
    assert result["metrics"]["accuracy"] in {0, 1 / 3, 2 / 3, 1}
    assert set(result["baselines"]) == {
        *("nearest_class_mean", "nearest_neighbour", "linear_probe", "names")
    }
    assert mcti_jax.load(added.folder).classnames == (*sorted(before), "mug")


def test_such_a_run_is_measured_without_the_first(world, added, tmp_path):
    """Also one that is not finished, whose kept tokens are still the first run's."""
    shutil.copytree(added.folder, tmp_path / "run")
    moved = tmp_path / "elsewhere"
    (world.folder / "first").rename(moved)
    try:
        for command in ("evaluate", "classify"):
            options = [f"--images={world.folder}/more/mug/0.png"] * (command == "classify")
            done = commands.run(f"mcti_jax.{command}", f"--workdir={tmp_path}/run", *options)
            assert done.status == 0, done.err
    finally:
        moved.rename(world.folder / "first")
    (tmp_path / "run/result.json").unlink()
    shutil.rmtree(tmp_path / "run/tokens")
    config = mcti_jax.load(added.folder).config
    found = {x.metadata["class"]: x for x in unfinished_tokens(tmp_path / "run", config)}
    for name, vectors in vectors_of(added.folder).items():
        np.testing.assert_array_equal(found[name].vectors, vectors)


def test_a_token_goes_on_from_where_a_run_has_left_it(world, tmp_path):
    """One class is learned again; without a gradient it is the run's, but for the decay."""
    more = f",start={world.folder}/first,learn=cat,learning_rate=1e-6,weight_decay=0"
    done = commands.run("mcti_jax.train", world.config + more, f"--workdir={tmp_path}/again")
    assert done.status == 0, done.err
    assert "1 class begins there, 1 class keeps its token" in done.out
    before, after = vectors_of(world.folder / "first"), vectors_of(tmp_path / "again")
    np.testing.assert_array_equal(after["red dog"], before["red dog"])
    np.testing.assert_allclose(after["cat"], before["cat"], atol=1e-4)
    assert (after["cat"] != before["cat"]).any()


def test_a_run_that_lost_a_token_is_no_start(world, tmp_path):
    """The class would begin as its noun, and nobody would know."""
    shutil.copytree(world.folder / "first", tmp_path / "first")
    (tmp_path / "first/tokens/cat.safetensors").unlink()
    more = f",start={tmp_path}/first,learn=cat"
    done = commands.run("mcti_jax.train", world.config + more, f"--workdir={tmp_path}/again")
    assert done.status == 2 and "lacks cat.safetensors (class 0, 'cat')" in done.err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ("add=folder:more", "needs the tokens of the other classes"),
        ("add=folder:more,start=first,learn=cat", "leave out learn=cat"),
        ("add=folder:photos,start=first", "both have 'cat', 'red dog'"),
        ("start=nowhere", "nowhere"),
    ],
)
def test_what_cannot_be_added(world, tmp_path, changes, sentence):
    for name in ("more", "photos", "first", "nowhere"):
        changes = changes.replace(f"folder:{name}", f"folder:{world.folder}/{name}")
        changes = changes.replace(f"start={name}", f"start={world.folder}/{name}")
    done = commands.run("mcti_jax.train", f"{world.config},{changes}", f"--workdir={tmp_path}/x")
    assert done.status == 2 and sentence in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_features_alone_learn_what_their_photos_do(world, tmp_path):
    """Neither the photos nor the VAE are needed: the tokens are the same."""
    config = mcti_jax.load(world.folder / "first").config
    material = gather(config)
    features, train = material.encoded.features, material.train
    np.savez(
        tmp_path / "bank.npz",
        classnames=np.array(material.classnames),
        train_features=features[0],
        train_mirrored=features[1],
        train_labels=train.labels,
        test_features=material.test_features,
        test_labels=material.test.labels,
    )
    changes = f",data=features:{tmp_path}/bank.npz,generate.per_class=1,generate.steps=1,shots=0"
    done = commands.run("mcti_jax.train", world.config + changes, f"--workdir={tmp_path}/run")
    assert done.status == 0, done.err
    expected = vectors_of(world.folder / "first")
    for name, vectors in vectors_of(tmp_path / "run").items():
        # What this process compiled before may order a sum otherwise.
        np.testing.assert_allclose(vectors, expected[name], atol=1e-6)
    results = [
        json.loads((run / "result.json").read_text())
        for run in (world.folder / "first", tmp_path / "run")
    ]
    measured = {name: results[1]["metrics"][name] for name in results[0]["metrics"]}
    assert measured == pytest.approx(results[0]["metrics"], rel=1e-5)
    assert results[0]["baselines"] == results[1]["baselines"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alpha": 1}, "give alpha=0"),
        ({"clip": "pocket", "model": "pocket"}, "3 wide and those of"),
    ],
)
def test_features_that_cannot_be_learned_from(tmp_path, changes, sentence):
    arrays = {"labels": np.array([0, 0, 1, 1]), "classnames": np.array(["a", "b"])}
    np.savez(tmp_path / "bank.npz", features=np.ones((4, 3)), **arrays)
    config = settings(**{"alpha": 0, "shots": 0, "data": f"features:{tmp_path}/bank.npz"} | changes)
    with pytest.raises(UserError, match=sentence):
        gather(config)
