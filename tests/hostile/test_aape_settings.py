"""Settings and data of AAPE that leave nothing to learn or to measure, or come too late."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from aape_jax.captioning.method import Captioning
from aape_jax.classification.material import gather
from aape_jax.classification.method import Classification
from aape_jax.classification.recipes import with_defaults
from aape_jax.core.heads_file import read_head, write_heads
from aape_jax.export import export
from aape_jax.retrieval.method import Retrieval
from aape_jax.vqa.method import VQA
from common.config import apply_arg, flatten
from common.errors import UserError
from common.training import train
from common.training.mesh import make_mesh
from configs import aape, aape_captioning, aape_retrieval, aape_vqa
from configs.aape import get_config
from tests.aape.feature_files import NAMES, captioned, features, texts
from tests.aape.problem import vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")
QUICK = "batch=8,updates=4,steps_per_call=2,log_every=2,save_every=2,compare=(),baselines=()"


def write(folder, name, names, labels, width=16):
    arrays = {"classnames": np.array(names)}
    for part in ("train", "test"):
        arrays[f"{part}_features"] = vectors(len(labels), width, seed=9)
        arrays[f"{part}_labels"] = np.asarray(labels, np.int64)
    np.savez(folder / f"{name}.npz", **arrays)
    return f"features:{folder / name}.npz"


def settings(folder, arg="", data=""):
    data = data or f"features:{features(folder)}"
    where = f"model=,data={data},prompts.source=features:{texts(folder)}"
    config = get_config(f"{where},compile_cache=,cache={folder / 'cache'},mesh.data=1,{QUICK}")
    return apply_arg(config, arg)


@pytest.mark.parametrize(
    ("arg", "protocol", "subsample", "shots"),
    [
        ("", "base_to_new", "base", 16),
        ("data=pocket:named", "base_to_new", "base", 16),
        ("data=folder:x", "all_classes", "all", 0),
        ("data=features:x.npz", "all_classes", "all", 0),
        ("data=folder:x,subsample=base", "all_classes", "base", 0),
        ("data=folder:x,shots=4", "all_classes", "all", 4),
        ("data=folder:x,protocol=base_to_new", "base_to_new", "base", 0),
        ("recipe=dtd", "base_to_new", "base", 16),
        ("recipe=dtd,data=tfds:dtd", "base_to_new", "base", 16),
        ("recipe=imagenet,protocol=cross_dataset", "cross_dataset", "all", 16),
        ("recipe=dtd,protocol=all_classes,shots=1", "all_classes", "all", 1),
    ],
)
def test_ones_own_data_are_all_learned_from(arg, protocol, subsample, shots):
    config = with_defaults(get_config(arg))
    assert (config.protocol, config.subsample, config.shots) == (protocol, subsample, shots)


def test_fields_that_come_behind_the_file_count_as_well(tmp_path):
    config = get_config()
    config.data = "folder:x"  # as --config.data does
    completed = Classification(config).complete(config)
    assert (completed.subsample, completed.shots) == ("all", 0)


@pytest.mark.parametrize(
    ("arg", "sentence"),
    [
        ("subsample=half", "subsample='half' is unknown"),
        ("shots=-2", "shots=-2"),
        ("batch=0", "batch=0"),
        ("pictures=-1", "pictures=-1"),
        ("warmup_epochs=-1", "warmup_epochs=-1"),
        ("views=0", "views=0"),
        ("aggregator.rate_factor=-1", "aggregator.rate_factor=-1"),
        ("baselines=(clip)", "baselines='clip' is unknown"),
    ],
)
def test_settings_that_no_run_can_follow(tmp_path, arg, sentence):
    config = settings(tmp_path, arg)
    with pytest.raises(UserError, match=sentence):
        train(Classification(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


TARGETS = {
    "without photos": (NAMES[:2], [], 16, "has no test photos"),
    "of one class": (NAMES[:1], [0, 0], 16, "has 1 class to choose from"),
    "of another width": (NAMES[:2], [0, 1], 12, "have width 12"),
    "of other classes": (("ox", "cow"), [0, 1], 16, "names none of the classes"),
    "with another class": (("class_1", "ox"), [0, 1], 16, "has no feature of the class 'ox'"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_are_looked_at_before_training(tmp_path, name):
    names, labels, width, sentence = TARGETS[name]
    spec = write(tmp_path, "other", names, labels, width)
    with pytest.raises(UserError, match=sentence):
        gather(settings(tmp_path, f"targets=({spec})"))


OWN = {
    "one class": (NAMES[:1], [0, 0], "subsample=all", "learns 1 of the 1"),
    "half of two classes": (NAMES[:2], [0, 0, 1, 1], "subsample=base", "learns 1 of the 2"),
    "the new of three": (NAMES[:3], [0, 0, 1, 1, 2, 2], "subsample=new", "learns 1 of the 3"),
    "no photos": (NAMES[:2], [], "subsample=all", "has no training examples"),
}


@pytest.mark.parametrize("name", OWN)
def test_data_that_leave_nothing_to_learn(tmp_path, name):
    names, labels, arg, sentence = OWN[name]
    with pytest.raises(UserError, match=sentence):
        gather(settings(tmp_path, arg, write(tmp_path, "own", names, labels)))


def test_what_is_learned_from_and_measured_on_is_said(tmp_path, capsys):
    gather(settings(tmp_path, data=write(tmp_path, "own", NAMES[:3], [0, 1, 2])))
    said = " ".join(capsys.readouterr().out.split())
    assert "3 of 3 test examples also learned from, e.g. row 0, which is row 0: " in said


def test_a_half_that_cannot_be_measured_is_said(tmp_path):
    spec = write(tmp_path, "own", NAMES[:3], [0, 1, 2, 0, 1, 2])
    material = gather(settings(tmp_path, "subsample=base", spec))
    assert list(material.tests) == ["base/"]
    assert "(new classes) has 1 class to choose from: nothing is measured" in material.idle[0]


def test_a_run_without_test_photos_trains_and_measures_nothing(tmp_path, compiled, capsys):
    file = features(tmp_path)
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays["test_features"], arrays["test_labels"] = arrays["test_features"][:0], np.zeros(0, int)
    np.savez(file, **arrays)
    config = settings(tmp_path, f"compile_cache={compiled}", f"features:{file}")
    result = train(Classification(config), tmp_path / "run")
    assert "has no test photos: nothing is measured on it" in capsys.readouterr().out
    assert "accuracy" not in result["metrics"]


def test_test_features_of_another_width(tmp_path):
    file = features(tmp_path)
    with np.load(file) as archive:
        arrays = dict(archive)
    np.savez(file, **arrays | {"test_features": arrays["test_features"][:, :12]})
    with pytest.raises(UserError, match="test have width 12 and the text features 16"):
        gather(settings(tmp_path, data=f"features:{file}"))


def test_a_summary_says_what_is_learned_from(tmp_path):
    config = settings(tmp_path, "subsample=base,shots=5")
    told = []
    Classification(config).load(make_mesh(1, 1), told.append)
    (summary,) = told
    assert summary == {
        "classes": "3 of 6, subsample=base",
        "learns from": "15 of 24 rows of features of these classes",
        "passed over": "9 rows of features, for shots=5",
        "kept for the test": "30 of 3 base classes, 30 of 3 new classes",
    }


@pytest.mark.parametrize(
    ("method", "config"),
    [
        (Classification, aape.defaults()),
        (Retrieval, aape_retrieval.defaults()),
        (VQA, aape_vqa.defaults()),
        (Captioning, aape_captioning.defaults()),
    ],
)
def test_evaluation_fields_are_fields(method, config):
    fields = flatten(config)
    for name in method.evaluation_fields:
        assert any(field == name or field.startswith(name) for field in fields), name
    assert "model" not in method.evaluation_fields and "data" not in method.evaluation_fields


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"vqa.shots": ()}, "vqa.shots="),
        ({"vqa.shots": (-1,)}, "vqa.shots="),
        ({"vqa.questions": -1}, "vqa.questions=-1"),
        ({"vqa.seed": -1}, "vqa.seed=-1"),
        ({"lm.beams": 0}, "lm.beams=0"),
        ({"lm.length": 0}, "lm.length=0"),
        ({"images_at_once": 0}, "images_at_once=0"),
        ({"pictures": -1}, "pictures=-1"),
        ({"batch": 0}, "batch=0"),
        ({"grid": "disk"}, "grid='disk'"),
        ({"map_updates": 5000}, "map_updates=5000"),
    ],
)
def test_captioning_checks_all_settings_first(changes, sentence):
    config = aape_captioning.get_config()
    config.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=sentence):
        Captioning(config).load(make_mesh(1, 1))


@pytest.mark.parametrize(
    ("method", "made", "field", "value"),
    [
        (Retrieval, aape_retrieval, "queries_at_once", 0),
        (Retrieval, aape_retrieval, "batch", 0),
        (VQA, aape_vqa, "pictures", -1),
        (VQA, aape_vqa, "answers", -1),
        (VQA, aape_vqa, "aggregator.rate_factor", -1),
        (Captioning, aape_captioning, "aggregator.rate_factor", -1),
        (Captioning, aape_captioning, "map_rate", -1),
        (Captioning, aape_captioning, "token_rate", -1),
        (Captioning, aape_captioning, "token_rate", float("inf")),
        (Retrieval, aape_retrieval, "aggregator.rate_factor", -1),
        (VQA, aape_vqa, "warmup_epochs", -1),
    ],
)
def test_the_other_tasks_as_well(method, made, field, value):
    config: ConfigDict = made.get_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=f"{field}={value}"):
        method(config).load(make_mesh(1, 1))


@pytest.mark.parametrize(
    ("method", "made", "beside", "field"),
    [
        (Retrieval, aape_retrieval, "rate.schedule=cosine", "warmup_epochs=3"),
        (Retrieval, aape_retrieval, "warmup_epochs=0", "warmup_rate=0.1"),
        (Retrieval, aape_retrieval, "optimizer=adamw", "momentum=0.5"),
        (VQA, aape_vqa, "rate.schedule=linear", "warmup_epochs=3"),
        (Captioning, aape_captioning, "rate.schedule=linear", "warmup=3"),
        (Captioning, aape_captioning, "map_updates=0", "map_rate=0.5"),
        (Captioning, aape_captioning, "lm.aape_position=none", "token_rate=0.5"),
        (Classification, aape, "rate.schedule=constant", "warmup_epochs=3"),
    ],
)
def test_fields_that_the_optimizer_does_not_read(method, made, beside, field):
    """CoOp reads those of classification, as a baseline beside it."""
    alone = "baselines=()," if method is Classification else ""
    config = made.get_config(f"{alone}{beside},{field}")
    with pytest.raises(UserError, match=f"{field} changes nothing with {beside}: leave it out"):
        method(config).load(make_mesh(1, 1))
    if method is Classification:
        method(made.get_config(f"{beside},{field}")).check_unread()


def test_fields_that_a_recipe_sets_are_nobodys_choice():
    config = aape_captioning.get_config("recipe=coco,rate.schedule=cosine")
    assert config.warmup != aape_captioning.defaults().warmup
    Captioning(config).check_unread()


def test_heads_of_an_unfinished_run(tmp_path, compiled):
    config = settings(tmp_path, f"compile_cache={compiled}")
    run = tmp_path / "run"
    train(Classification(config), run)
    written = {file.name: read_head(file) for file in (run / "heads").iterdir()}
    with pytest.raises(UserError, match="is finished and has its heads in"):
        export(run, run)
    assert len(export(run, tmp_path / "copy")) == len(written)
    (run / "result.json").unlink()  # as if it had been stopped there
    files = export(run, tmp_path / "latest")
    assert {file.name for file in files} == set(written)
    for file in files:
        for group, leaves in read_head(file).items():
            for name, leaf in leaves.items():
                np.testing.assert_array_equal(leaf, written[file.name][group][name])


def test_heads_of_no_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"method": "x", "data": "", "model": ""}))
    with pytest.raises(UserError):
        export(tmp_path, tmp_path)
    captions = captioned(tmp_path)
    assert captions.exists()
    files = write_heads(tmp_path, {"visual": {"map": {"kernel": np.eye(2)}}})
    assert set(read_head(files[0])) == {"kernel"}
