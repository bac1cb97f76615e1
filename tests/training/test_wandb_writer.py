"""Weights & Biases as a further writer: with a stand-in, and with the package where it is."""

import importlib.util
import json
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from common.errors import UserError
from common.training.wandb_writer import require_wandb, wandb_writers
from common.training.writers import MetricWriter

CONFIG = ConfigDict({"wandb": "flowers", "seed": 3, "mesh": {"data": 2}})


class StandIn(types.ModuleType):
    """Remembers what it is told."""

    class Error(Exception):
        pass

    def __init__(self):
        super().__init__("wandb")
        self.inits, self.told, self.ends = [], [], []

    def init(self, **options):
        self.inits.append(options)
        return self

    def log(self, values, step):
        self.told.append((step, values))

    def finish(self, exit_code):
        self.ends.append(exit_code)

    def Image(self, pixels):
        return ("image", pixels.shape)


@pytest.fixture
def service(monkeypatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


def write(workdir: Path, **options: int) -> None:
    with MetricWriter(workdir, **options, others=wandb_writers(CONFIG, workdir)) as writer:
        writer.write(1, {"loss": np.float32(0.5), "bad": float("nan")})
        writer.pictures(1, {"grid": np.zeros((2, 3, 3), np.uint8)})


def test_it_is_told_what_the_files_are(service, tmp_path):
    write(tmp_path)
    (options,) = service.inits
    assert options["project"] == "flowers" and options["name"] == tmp_path.name
    assert options["config"] == {"wandb": "flowers", "seed": 3, "mesh.data": 2}
    assert service.told == [(1, {"loss": 0.5}), (1, {"grid": ("image", (2, 3, 3))})]
    assert service.ends == [0]


def test_a_resumed_run_is_the_same_run(service, tmp_path):
    write(tmp_path)
    write(tmp_path, step=1)
    write(tmp_path / "other")
    first, again, other = (options["id"] for options in service.inits)
    assert first == again == json.loads((tmp_path / "wandb.json").read_text())["id"] != other
    assert {options["resume"] for options in service.inits} == {"allow"}


def test_a_run_that_fails_says_so(service, tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        MetricWriter(tmp_path, others=wandb_writers(CONFIG, tmp_path)),
    ):
        raise ZeroDivisionError
    assert service.ends == [1]


def test_the_loop_tells_it_everything(service, runs, tmp_path):
    runs.train(tmp_path, "wandb=toys,updates=10,eval_every=0")
    steps = [step for step, values in service.told if "loss" in values]
    assert steps == [10] and service.inits[0]["project"] == "toys"
    assert any("eval/error" in values for _, values in service.told)
    assert any("black" in values for _, values in service.told)


def test_off_and_on_other_hosts_nothing_is_imported(service, tmp_path, monkeypatch):
    assert wandb_writers(ConfigDict({"wandb": ""}), tmp_path) == ()
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    assert wandb_writers(CONFIG, tmp_path) == ()
    assert service.inits == []


@pytest.mark.parametrize("found", [None, types.ModuleType("wandb")], ids=["absent", "a folder"])
def test_without_the_package_a_run_does_not_begin(found, runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", found)
    with pytest.raises(UserError, match="wandb='toys' needs a package"):
        runs.train(tmp_path / "x", "wandb=toys")
    assert not (tmp_path / "x").exists()
    assert require_wandb("") is None


def test_a_refusal_is_one_sentence(service, tmp_path, monkeypatch):
    def refuse(**options):
        raise service.Error("no key")

    monkeypatch.setattr(service, "init", refuse)
    with pytest.raises(UserError, match="wandb='flowers': no key; log in"):
        wandb_writers(CONFIG, tmp_path)


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
def test_the_package_itself(runs, tmp_path):
    offline = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    process = runs.start(tmp_path / "run", "wandb=toys", **offline)
    _, err = process.communicate()
    assert process.returncode == 0, err
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    name = json.loads((tmp_path / "run" / "wandb.json").read_text())["id"]
    assert (folder / f"run-{name}.wandb").stat().st_size > 1000
