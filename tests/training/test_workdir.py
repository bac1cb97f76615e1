import json
import os
import re

import numpy as np
import pytest
from ml_collections import ConfigDict

from common.errors import UserError
from common.training.results import make_result, write_result
from common.training.types import Evaluation
from common.training.workdir import changed_fields, check_workdir, write_config


def make_config(**fields) -> ConfigDict:
    defaults = {"data": "d", "model": "m", "seed": 1, "updates": 9, "keep": 2}
    return ConfigDict({**defaults, "mesh": {"data": -1}, "shape": (1, 2), **fields})


def write_run(workdir, config: ConfigDict) -> None:
    """A run that has saved an update."""
    write_config(workdir, config)
    (workdir / "checkpoints" / "00000005").mkdir(parents=True)


def test_a_new_folder_is_neither_refused_nor_made(tmp_path):
    assert check_workdir(tmp_path / "a" / "b", make_config()) is None
    assert not (tmp_path / "a").exists()


def test_the_same_config_is_taken(tmp_path):
    write_run(tmp_path, make_config())
    assert check_workdir(tmp_path, make_config()) is None
    assert check_workdir(tmp_path, make_config(keep=5, mesh={"data": 4})) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"updates": 8, "seed": 2}, "a run with seed=1, but now seed=2"),
        ({"shape": (1, 3)}, "shape=[1, 2], but now shape=[1, 3]"),
        ({"extra": 1}, "of another version, whose config lacks the field 'extra'"),
        ({"extra": 1, "seed": 2}, "a run with seed=1, but now seed=2"),
    ],
)
def test_the_first_field_that_differs_is_named(tmp_path, fields, message):
    write_run(tmp_path, make_config())
    with pytest.raises(UserError, match=re.escape(message)):
        check_workdir(tmp_path, make_config(**fields))


def test_a_run_older_than_a_field_did_what_its_default_says(tmp_path):
    write_run(tmp_path, make_config())
    defaults = make_config(seed=7, rate={"warmup": 0})
    older = make_config(rate={"warmup": 0})
    assert check_workdir(tmp_path, older, defaults=defaults) is None
    with pytest.raises(UserError, match=r"a run with rate.warmup=0, but now rate.warmup=3"):
        check_workdir(tmp_path, make_config(rate={"warmup": 3}), defaults=defaults)
    # A default does not stand for what the run wrote down, nor for fields that are not asked for.
    with pytest.raises(UserError, match="a run with seed=1, but now seed=7"):
        check_workdir(tmp_path, defaults, defaults=defaults)
    assert check_workdir(tmp_path, make_config(), defaults=defaults) is None


def test_a_run_with_a_field_that_is_no_more(tmp_path):
    write_run(tmp_path, make_config(gone=3))
    with pytest.raises(UserError, match="whose config has the field 'gone'"):
        check_workdir(tmp_path, make_config())


def test_a_group_that_changes_nothing_may_change(tmp_path):
    write_run(tmp_path, make_config(preview={"seed": 0}, preview_every=0, profile=""))
    other = make_config(preview={"seed": 1}, preview_every=5, profile="1:2")
    assert check_workdir(tmp_path, other) is None
    assert changed_fields(tmp_path, other) == {}


def test_fields_that_change_nothing_may_be_absent(tmp_path):
    write_run(tmp_path, make_config())
    assert check_workdir(tmp_path, make_config(wandb="project")) is None


def test_folders_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(UserError, match="file is a file"):
            check_workdir(path, make_config())
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match="no permission"):
        check_workdir(tmp_path / "run", make_config())


def test_a_broken_config_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json. cannot be read as JSON"):
        check_workdir(tmp_path, make_config())


def test_the_result_is_plain_json(tmp_path):
    metrics, baselines = {"accuracy": float("nan")}, {"1-NN": {"accuracy": 0.5}}
    details = {"rows": [("a", np.float32(2))]}
    evaluation = Evaluation(metrics, baselines, details=details)
    write_result(tmp_path, make_result("toy", make_config(), evaluation, 7, 1.5))
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"] == {"accuracy": None} and result["updates"] == 7
    assert result["baselines"] == {"1-NN": {"accuracy": 0.5}}
    assert result["details"] == {"rows": [["a", 2.0]]}
    assert check_workdir(tmp_path, make_config()) == result
