"""Input files that change between a run and its resumption, of every method."""

import dataclasses
import json
import re

import numpy as np
import pytest
from PIL import Image

from aape_jax.captioning.method import Captioning
from aape_jax.captioning.prefix import linear
from aape_jax.classification.method import Classification
from aape_jax.core.heads_file import write_head
from aape_jax.retrieval.method import Retrieval
from aape_jax.vqa.method import VQA
from common.errors import UserError
from common.training import train
from common.training.checkpoints import Checkpoints, Position
from common.training.mesh import make_mesh
from common.training.types import EVALUATION
from configs import aape, aape_retrieval, aape_vqa, mcti
from mcti_jax.material import Material
from mcti_jax.method import MCTI
from protext_jax.method import ProText
from tests.aape import caption_problem
from tests.aape.feature_files import captioned, features, texts
from tests.aape.question_files import write_easy_vqa
from tests.hostile.opened import changed_picture, uncovered
from tests.hostile.test_protext_settings import write
from tests.mcti.tiny_models import write_tiny_models
from tests.protext.tiny import settings
from tests.training.test_checkpoints import PRINTS, make_state, save

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")


@pytest.fixture
def inputs(tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def prints(method, config):
    """The fingerprints that a checkpoint of a run holds."""

    def load():
        own = method(config)
        loaded = own.load(make_mesh(1, 1))
        return {**loaded.fingerprints, "data": loaded.source.fingerprint}

    return load


def wrote(folder, name, content):
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


def swapped(path):
    first, second = json.loads(path.read_text()).items()
    path.write_text(json.dumps({first[0]: second[1], second[0]: first[1]}))


def asked_otherwise(path):
    path.write_text(path.read_text().replace("what colour", "which colour"))


def test_protext(inputs, cache):
    names = {"n01": "red star", "n02": "fish"}
    sentences = {"red star": ["A star.", "Red."], "fish": ["Fins."]}
    config = settings(
        prompts={"source": f"json:{wrote(inputs, 'corpus.json', sentences)}"},
        data=write(inputs, "own", ["n01", "n02"], test=[0, 1]),
        targets=(write(inputs, "other", ["ox", "red star"], test=[0, 1]),),
        names=wrote(inputs, "names.json", names),
        descriptors=wrote(inputs, "descriptors.json", {"fish": ["scales"]}),
        words=wrote(inputs, "words.json", ["foot", "loud"]),
        baselines=("dclip", "waffle_clip"),
        held_out=1,
        epochs=1,
        cache=cache,
    )
    opened, blind = uncovered(prints(ProText, config), inputs, {"names.json": swapped})
    assert set(opened) == {
        *("corpus.json", "descriptors.json", "names.json", "words.json"),
        *("own.npz", "other.npz"),
    }
    assert not blind


def test_aape_on_features(inputs, cache):
    images, names = features(inputs), texts(inputs)
    other = write(inputs, "other", ["class_1", "class_2"], test=[0, 1], width=16)
    arg = f"model=,data=features:{images},prompts.source=features:{names},targets=({other})"
    config = aape.get_config(f"{arg},cache={cache},compare=(),baselines=()")
    opened, blind = uncovered(prints(Classification, config), inputs)
    assert opened == ["images.npz", "other.npz", "texts.npz"] and not blind


def test_aape_on_sentences(inputs, cache):
    prompts = wrote(inputs, "prompts.json", {"star": ["A star."], "fin": ["A fish."]})
    aliases = wrote(inputs, "aliases.json", {"sun": "star", "fish": "fin"})
    data = write(inputs, "own", ["sun", "fish"], train=[0, 1], test=[0, 1])
    arg = f"data={data},prompts.source=json:{prompts},prompts.aliases={aliases}"
    config = aape.get_config(f"{arg},cache={cache},compare=(),baselines=()")
    opened, blind = uncovered(prints(Classification, config), inputs, {"aliases.json": swapped})
    assert opened == ["aliases.json", "own.npz", "prompts.json"] and not blind


@pytest.mark.parametrize(
    ("baselines", "read"), [("(tip_adapter)", {"validation photos"}), ("(clip_adapter)", set())]
)
def test_the_validation_part_of_features(inputs, cache, baselines, read):
    """It is read where a baseline chooses numbers with it."""
    images, names = features(inputs), texts(inputs)

    def other_validation(path):
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **arrays | {"val_features": arrays["val_features"] + 1})

    arg = f"model=,data=features:{images},prompts.source=features:{names},compare=()"
    arg += f",baselines={baselines}"
    load = prints(Classification, aape.get_config(f"{arg},cache={cache}"))
    before = load()
    other_validation(images)
    after = load()
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{EVALUATION}{name}" for name in read}


def test_retrieval_and_the_run_that_it_starts_from(inputs, cache):
    for name, hidden in {"aape": 512, "paper": 1}.items():
        shapes = {"down": (16, hidden), "up": (hidden, 16)}
        generator = {part: np.ones(shape, np.float32) for part, shape in shapes.items()}
        write_head(inputs / "heads" / f"{name}.safetensors", {"generator": generator})
    arg = f"model=,data=features:{captioned(inputs)},start={inputs},compare=(),batch=8"
    config = aape_retrieval.get_config(f"{arg},cache={cache}")
    opened, blind = uncovered(prints(Retrieval, config), inputs)
    assert opened == ["captions.npz", "aape.safetensors", "paper.safetensors"] and not blind


def test_questions(inputs, cache):
    arg = f"data=easy_vqa:{write_easy_vqa(inputs)},tower=small,side=8,compare=(),batch=3"
    config = aape_vqa.get_config(f"{arg},per_image=1,cache={cache}")
    opened, blind = uncovered(prints(VQA, config), inputs, {"questions.json": asked_otherwise})
    assert len(opened) == 7 and set(opened) == {"questions.json", "0.png", "1.png", "2.png"}
    assert not blind


def test_captions_and_the_map_that_they_start_from(inputs, cache, monkeypatch):
    import jax

    caption_problem.install(monkeypatch)
    width, lm = caption_problem.CHANNELS, caption_problem.LM.width
    write_head(inputs / "visual.safetensors", linear(jax.random.key(0), width, lm))
    config = caption_problem.settings(**{"lm.map": inputs / "visual.safetensors", "cache": cache})
    opened, blind = uncovered(prints(Captioning, config), inputs)
    assert opened == ["visual.safetensors"] and not blind


def differing(load, change):
    """The fingerprints that a change of the inputs shows in."""
    before = load()
    change()
    after = load()
    return {name for name in before | after if after.get(name) != before.get(name)}


def changed_arrays(path, **changes):
    """Arrays of an npz file, changed by name."""

    def change():
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **arrays | {name: other(arrays[name]) for name, other in changes.items()})

    return change


def one_more(array):
    return np.concatenate([array, array[:1]])


def fewer(array):
    return array[:-1]


def mended(array):
    return array * 1.01 + 0.01


TESTED = {f"{EVALUATION}test data"}
TEST_PHOTOS = {f"{EVALUATION}test photos"}


@pytest.mark.parametrize("change", [mended, one_more, fewer])
def test_test_photos_of_classes_are_evaluations_alone(inputs, cache, change):
    images, names = features(inputs), texts(inputs)
    arg = f"model=,data=features:{images},prompts.source=features:{names},compare=(),baselines=()"
    load = prints(Classification, aape.get_config(f"{arg},cache={cache}"))
    labels = {} if change is mended else {"test_labels": change}
    assert differing(load, changed_arrays(images, test_features=change, **labels)) == TEST_PHOTOS
    assert "data" in differing(load, changed_arrays(images, train_features=mended))


def test_test_images_of_retrieval_are_evaluations_alone(inputs, cache):
    file = captioned(inputs)
    arg = f"model=,data=features:{file},compare=(),batch=8,cache={cache}"
    load = prints(Retrieval, aape_retrieval.get_config(arg))
    for name in ("features", "captions"):
        assert differing(load, changed_arrays(file, **{f"test_{name}": mended})) == TESTED
        assert differing(load, changed_arrays(file, **{f"train_{name}": mended})) == {"data"}


@pytest.mark.parametrize("name", ["images/0.png", "questions.json"])
def test_test_questions_are_evaluations_alone(inputs, cache, name):
    folder = write_easy_vqa(inputs) / "data"
    arg = f"data=easy_vqa:{inputs},tower=small,side=8,compare=(),batch=3,per_image=1"
    load = prints(VQA, aape_vqa.get_config(f"{arg},cache={cache}"))
    change = asked_otherwise if name.endswith(".json") else changed_picture
    assert differing(load, lambda: change(folder / "test" / name)) == TESTED
    assert differing(load, lambda: change(folder / "train" / name)) == {"data"}


@pytest.mark.parametrize(("part", "found"), [("test", TESTED), ("train", {"data"})])
def test_test_captions_are_evaluations_alone(cache, monkeypatch, part, found):
    parts, _ = caption_problem.install(monkeypatch)
    load = prints(Captioning, caption_problem.settings(cache=cache))
    other = caption_problem.pictures(len(parts[part].texts.captions), grey=9)

    def change():
        texts = dataclasses.replace(parts[part].texts, pictures=other)
        parts[part] = dataclasses.replace(parts[part], texts=texts)

    assert differing(load, change) == found


def test_a_run_goes_on_after_a_test_photo_was_mended(inputs, cache, compiled, capsys):
    images, names = features(inputs), texts(inputs)
    arg = f"model=,data=features:{images},prompts.source=features:{names},compare=(),baselines=()"
    quick = "updates=2,schedule=counts,steps_per_call=1,save_every=1,mesh.data=1"
    config = aape.get_config(f"{arg},{quick},cache={cache},compile_cache={compiled}")
    workdir = inputs / "run"
    train(Classification(config), workdir)
    changed_arrays(images, test_features=mended, test_labels=lambda labels: labels)()
    (workdir / "result.json").unlink()  # As if it had been stopped behind its last update.
    train(Classification(config), workdir)
    assert "test photos: changed since step 2 was saved" in capsys.readouterr().out
    changed_arrays(images, train_features=mended)()
    (workdir / "result.json").unlink()
    with pytest.raises(UserError, match="was made with other data"):
        train(Classification(config), workdir)


def restored(folder, fingerprints):
    with Checkpoints(folder, 3, fingerprints) as checkpoints:
        return checkpoints.restore(make_state()).position.step


def saved(folder, fingerprints):
    with Checkpoints(folder, 3, fingerprints) as checkpoints:
        checkpoints.save(make_state(step=4), Position(4))
        checkpoints.wait()


def test_checkpoints_that_are_older_than_a_fingerprint_go_on(tmp_path):
    save(tmp_path / "c", 4)
    assert restored(tmp_path / "c", PRINTS | {"prompts": "0123", f"{EVALUATION}words": "0"}) == 4


def test_other_files_of_evaluation_are_said_and_other_prompts_refused(tmp_path, capsys):
    measured = f"{EVALUATION}descriptors"
    saved(tmp_path / "c", PRINTS | {"prompts": "0123", measured: "0123"})
    assert restored(tmp_path / "c", PRINTS | {"prompts": "0123", measured: "ffff"}) == 4
    assert "descriptors: changed since step 4 was saved" in capsys.readouterr().out
    assert restored(tmp_path / "c", PRINTS | {"prompts": "0123"}) == 4
    assert "changed since" not in capsys.readouterr().out  # Nothing reads them any more.
    message = "made with other prompts (fingerprint 0123, now ffff)"
    with pytest.raises(UserError, match=re.escape(message)):
        restored(tmp_path / "c", PRINTS | {"prompts": "ffff", measured: "0123"})


def replaced(**values):
    """A change of those of these fields that a JSON file has, in its groups as well."""

    def other(content):
        if not isinstance(content, dict):
            return content
        return {name: values.get(name, other(value)) for name, value in content.items()}

    return lambda path: path.write_text(json.dumps(other(json.loads(path.read_text()))))


def other_merges(path):
    content = json.loads(path.read_text())
    content["model"]["merges"].reverse()
    path.write_text(json.dumps(content))


MODEL_CHANGES = {
    "config.json": replaced(hidden_act="gelu", norm_num_groups=2),
    "preprocessor_config.json": replaced(image_mean=[0.4, 0.4, 0.4]),
    "scheduler_config.json": replaced(beta_end=0.02),
    "tokenizer.json": other_merges,
}


@pytest.fixture
def models_of_mcti(inputs, monkeypatch):
    """Tiny models, with which nothing is encoded.

    Fingerprints are of what is read; what the networks make of it takes seconds to compile.
    """
    monkeypatch.setattr(Material, "encode_all", lambda self: None)
    monkeypatch.setattr(Material, "encoded", None)
    monkeypatch.setattr("mcti_jax.method.frozen_tree", lambda *_: {"start": np.zeros(())})
    write_tiny_models(inputs)


def config_of_mcti(inputs, cache):
    """The config of a run on the photos and models of a folder."""
    arg = f"model={inputs / 'sd'},clip={inputs / 'clip'},data=folder:{inputs / 'photos'}"
    return mcti.get_config(f"{arg},cache={cache},samples=1,updates=1,mesh.data=1")


@pytest.mark.usefixtures("models_of_mcti")
def test_mcti(inputs, cache):
    for number, name in enumerate(("cat", "dog")):
        (inputs / "photos" / name).mkdir(parents=True)
        for row in range(2):
            pixels = np.full((9, 9, 3), 60 * row + 7 * number, np.uint8)
            Image.fromarray(pixels).save(inputs / "photos" / name / f"{row}.png")
    # Changes of other fields make other models, which the weights do not fit.
    left_alone = dict.fromkeys(("model_index.json", "tokenizer_config.json"), lambda path: None)
    opened, blind = uncovered(
        prints(MCTI, config_of_mcti(inputs, cache)), inputs, MODEL_CHANGES | left_alone
    )
    assert sum(name.endswith(".png") for name in opened) == 4
    assert sum(name.endswith(".safetensors") for name in opened) == 4
    assert {*MODEL_CHANGES} <= {*opened} and not {*blind} - {*left_alone}


@pytest.mark.usefixtures("models_of_mcti")
def test_a_test_photo_of_mcti(inputs, cache):
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (inputs / "photos" / part / name).mkdir(parents=True)
            Image.new("RGB", (9, 9)).save(inputs / "photos" / part / name / "0.png")
    load = prints(MCTI, config_of_mcti(inputs, cache))
    before = load()
    Image.new("RGB", (9, 9), "red").save(inputs / "photos" / "test" / "cat" / "0.png")
    after = load()
    assert {name for name in after if after[name] != before[name]} == {f"{EVALUATION}test photos"}
