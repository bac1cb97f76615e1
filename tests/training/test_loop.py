"""The loop as a whole, in one process."""

import json
import shutil

import jax
import numpy as np
import pytest

from common.errors import UserError
from common.training import Evaluation, TrainingDiverged, train
from common.training.method import find_method
from configs import aape, aape_captioning, aape_retrieval, aape_vqa, mcti, protext


def lines(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_writes_what_the_contract_names(undisturbed):
    result = json.loads((undisturbed / "result.json").read_text())
    assert result["method"] == "toy"
    assert result["dataset"] == "toy"
    assert result["model"] == "none"
    assert result["seed"] == 3
    assert result["metrics"]["error"] < 0.5  # It learned: the untrained error is above 2.
    assert result["baselines"] == {"zero": 1.0}
    assert result["seconds"] > 0
    assert {"python", "jax", "jaxlib", "flax", "optax", "promptax"} <= result["versions"].keys()
    assert json.loads((undisturbed / "config.json").read_text())["mesh"] == {
        "data": -1,
        "model": 1,
    }
    assert sorted(p.name for p in (undisturbed / "checkpoints").iterdir()) == [
        "00000020",
        "00000025",
        "00000030",
    ]
    assert list(undisturbed.glob("events.out.tfevents.*"))


def test_a_program_of_other_settings_trains_the_same_run(
    runs, undisturbed, same_run, tmp_path, callers_settings
):
    runs.train(tmp_path)
    same_run(tmp_path, undisturbed)


def test_metrics_are_written_when_they_are_due(undisturbed):
    found = lines(undisturbed)
    assert [x["step"] for x in found if "loss" in x] == [10, 20, 30]
    assert [x["step"] for x in found if "eval/error" in x] == [10, 20, 30]
    losses = [x["loss"] for x in found if "loss" in x]
    assert losses == sorted(losses, reverse=True)


def test_a_finished_run_is_left_as_it_is(runs, undisturbed, capsys):
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")}
    result = runs.train(undisturbed)
    assert result == json.loads((undisturbed / "result.json").read_text())
    assert "holds a finished run of 30 steps" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*")} == before


@pytest.mark.parametrize("step", [18, 20])
def test_a_crash_changes_nothing(runs, undisturbed, same_run, tmp_path, monkeypatch, step):
    batch = runs.toy.Indices.batch

    def crash(self, at):
        if at == step:
            raise RuntimeError("crash")
        return batch(self, at)

    with monkeypatch.context() as patch:
        patch.setattr(runs.toy.Indices, "batch", crash)
        with pytest.raises(RuntimeError, match="crash"):
            runs.train(tmp_path)
    assert not (tmp_path / "result.json").exists()
    runs.train(tmp_path)
    same_run(tmp_path, undisturbed)


def test_a_crash_of_the_last_evaluation_changes_nothing(
    runs, undisturbed, same_run, tmp_path, monkeypatch
):
    evaluate = runs.toy.Toy.evaluate

    def crash(self, trainable, frozen):
        if (tmp_path / "checkpoints" / "00000030").exists():
            raise RuntimeError("crash")
        return evaluate(self, trainable, frozen)

    with monkeypatch.context() as patch:
        patch.setattr(runs.toy.Toy, "evaluate", crash)
        with pytest.raises(RuntimeError, match="crash"):
            runs.train(tmp_path)
    runs.train(tmp_path)
    same_run(tmp_path, undisturbed)


def test_the_clock_goes_on_after_a_resume(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.toy.Toy, "save", None)
    with pytest.raises(TypeError):
        runs.train(tmp_path, "updates=10")
    monkeypatch.undo()
    assert runs.train(tmp_path, "updates=10")["seconds"] > lines(tmp_path)[0]["seconds"]


@pytest.mark.parametrize("mesh", ["mesh.data=1", "mesh.data=4,mesh.model=2"])
def test_other_meshes_give_the_same_numbers(runs, undisturbed, tmp_path, mesh):
    runs.train(tmp_path, mesh)
    tokens, expected = (np.load(w / "tokens.npy") for w in (tmp_path, undisturbed))
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-5)
    for line, other in zip(lines(tmp_path), lines(undisturbed), strict=True):
        for name in line.keys() - {"seconds", "steps_per_second"}:
            assert line[name] == pytest.approx(other[name], rel=1e-4)


def test_a_last_short_call_gives_the_same_numbers(runs, undisturbed, tmp_path):
    arg = "steps_per_call=7,log_every=7,save_every=7,eval_every=0"
    runs.train(tmp_path, arg)
    tokens, expected = (np.load(w / "tokens.npy") for w in (tmp_path, undisturbed))
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-5)
    assert [line["step"] for line in lines(tmp_path)][-3:] == [28, 30, 30]


def test_divergence_keeps_the_last_good_state(runs, tmp_path):
    workdir, arg = tmp_path / "diverged", "poison_at=12"
    with pytest.raises(TrainingDiverged, match="step 12 is not finite") as caught:
        runs.train(workdir, arg)
    assert caught.value.step == 12
    assert caught.value.exit_status == 1
    assert lines(workdir)[-1] == {"step": 12, "loss": None}
    assert not (workdir / "result.json").exists()
    # 12 steps and no more are what a run of 12 updates makes.
    runs.train(tmp_path / "short", "updates=12")
    notes = [
        json.loads((path / "checkpoints/00000012/position/metadata").read_text())
        for path in (workdir, tmp_path / "short")
    ]
    assert notes[0]["checksum"] == notes[1]["checksum"]
    # The same command comes to the same end, and tells it once.
    with pytest.raises(TrainingDiverged, match="step 12"):
        runs.train(workdir, arg)
    assert [line["step"] for line in lines(workdir)] == [10, 10, 12]


def test_another_config_is_refused(runs, undisturbed):
    with pytest.raises(UserError, match=r"learning_rate=0\.1, but now learning_rate=0\.2"):
        runs.train(undisturbed, "learning_rate=0.2,seed=4")


def test_harmless_fields_may_change(runs, undisturbed):
    runs.train(undisturbed, "keep=1,progress=false,log_every=5,mesh.data=1,save_every=0")


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("updates=0", "updates=0 is out of range"),
        ("steps_per_call=7", "log_every=10 is not a multiple of steps_per_call=7"),
        ("save_every=12", "save_every=12 is not a multiple"),
        ("eval_every=-5", "eval_every=-5 is out of range"),
        ("keep=0", "keep=0"),
        ("seed=-1", "seed=-1 is out of range"),
        ("seed=18446744073709551616", "seed='18446744073709551616' is out of range"),
        ("mesh.data=16", "needs 16 devices, more than the 8 at hand"),
        ("mesh.model=3", "mesh.model=3 does not divide the number of devices, 8"),
        ("mesh.model=0", "mesh.model=0"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(runs, tmp_path, arg, message):
    with pytest.raises(UserError, match=message):
        runs.train(tmp_path / "run", arg)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("field", ["updates", "data", "compile_cache"])
def test_a_missing_field_is_named(runs, tmp_path, field):
    config = runs.toy.get_config()
    del config[field]
    with pytest.raises(UserError, match=f"no field {field!r}"):
        runs.toy.train(runs.toy.Toy(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bad_data_are_refused_before_anything_is_written(runs, tmp_path, monkeypatch):
    def load(self, mesh, tell):
        raise UserError("no such data")

    monkeypatch.setattr(runs.toy.Toy, "load", load)
    with pytest.raises(UserError, match="no such data"):
        runs.train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_method_may_fill_in_its_config(runs, tmp_path, monkeypatch):
    def complete(self, config):
        config = config.copy_and_resolve_references()
        config.updates = 10
        return config

    monkeypatch.setattr(runs.toy.Toy, "complete", complete)
    assert runs.train(tmp_path, "updates=0")["updates"] == 10
    assert json.loads((tmp_path / "config.json").read_text())["updates"] == 10


@pytest.mark.parametrize("crashes", [False, True])
def test_a_method_may_stop_early(runs, undisturbed, tmp_path, monkeypatch, crashes):
    """It sees every evaluation, those before a resumption too."""
    seen = []

    def stops(self, evaluations):
        seen.append([round(x["error"], 6) for x in evaluations])
        return len(evaluations) == 2

    monkeypatch.setattr(runs.toy.Toy, "stops", stops)
    batch = runs.toy.Indices.batch

    def crash(self, at):
        if at == 15:
            raise RuntimeError("crash")
        return batch(self, at)

    if crashes:
        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="crash"):
            patch.setattr(runs.toy.Indices, "batch", crash)
            runs.train(tmp_path)
    result = runs.train(tmp_path)
    wanted = [x["eval/error"] for x in lines(undisturbed) if "eval/error" in x][:2]
    assert seen == [[round(x, 6) for x in wanted[:count]] for count in (1, 2)]
    assert result["updates"] == 20
    assert result["metrics"]["error"] == pytest.approx(wanted[1])
    assert [x["step"] for x in lines(tmp_path) if "eval/error" in x] == [10, 20]
    assert "00000020" in [p.name for p in (tmp_path / "checkpoints").iterdir()]


def test_a_finished_run_is_evaluated_again_where_only_evaluation_changes(
    runs, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(runs.toy.Toy, "evaluation_fields", ("sleep",))
    first = runs.train(tmp_path, "updates=10")
    tokens = (tmp_path / "tokens.npy").read_bytes()
    monkeypatch.setattr(runs.toy.Toy, "evaluate", lambda *_: Evaluation({"error": 7.0}))
    assert runs.train(tmp_path, "updates=10") == first
    again = runs.train(tmp_path, "updates=10,sleep=0.5")
    assert again["metrics"] == {"error": 7.0}
    assert json.loads((tmp_path / "result.json").read_text()) == again
    assert json.loads((tmp_path / "config.json").read_text())["sleep"] == 0.5
    assert (tmp_path / "tokens.npy").read_bytes() == tokens
    assert "which is evaluated again with sleep=0.5." in capsys.readouterr().out
    shutil.rmtree(tmp_path / "checkpoints")
    monkeypatch.setattr(runs.toy.Toy, "load", None)  # Nothing is loaded in vain.
    with pytest.raises(UserError, match="lacks the checkpoint of its last step, 10"):
        runs.train(tmp_path, "updates=10,sleep=0.25")
    assert json.loads((tmp_path / "result.json").read_text()) == again


@pytest.mark.parametrize("content", [None, b"half a file"])
def test_what_a_finished_run_has_lost_is_written_again(
    runs, undisturbed, tmp_path, capsys, content
):
    workdir, tokens = tmp_path / "run", (undisturbed / "tokens.npy").read_bytes()
    shutil.copytree(undisturbed, workdir)
    if content is None:
        (workdir / "tokens.npy").unlink()
    else:
        (workdir / "tokens.npy").write_bytes(content)
    again = runs.train(workdir)
    assert "and saved from its checkpoint, since what it saved cannot" in capsys.readouterr().out
    assert (workdir / "tokens.npy").read_bytes() == tokens
    assert again["metrics"] == json.loads((undisturbed / "result.json").read_text())["metrics"]
    runs.train(workdir)
    assert "nothing to do" in capsys.readouterr().out


def test_a_run_that_stops_by_its_evaluations_keeps_their_number(runs, tmp_path, monkeypatch):
    runs.train(tmp_path, "updates=10,eval_every=5")
    runs.train(tmp_path, "updates=10,eval_every=10")
    monkeypatch.setattr(runs.toy.Toy, "decisive", ("eval_every",))
    with pytest.raises(UserError, match="with eval_every=5, but now eval_every=10: give the same"):
        runs.train(tmp_path, "updates=10,eval_every=10")


def test_a_picture_that_a_finished_run_has_lost_is_written_again(
    runs, undisturbed, tmp_path, capsys
):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir)
    (workdir / "black.png").unlink()
    runs.train(workdir)
    assert "evaluated again to write black.png once more." in capsys.readouterr().out
    assert (workdir / "black.png").read_bytes() == (undisturbed / "black.png").read_bytes()
    (workdir / "black.png").unlink()
    shutil.rmtree(workdir / "checkpoints")
    runs.train(workdir)
    assert "nothing to do" in capsys.readouterr().out


def test_a_folder_without_an_update_takes_another_config(runs, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(runs.toy.Indices, "batch", None)
        runs.train(tmp_path, "updates=10")
    assert runs.train(tmp_path, "updates=5")["updates"] == 5
    assert json.loads((tmp_path / "config.json").read_text())["updates"] == 5


@pytest.mark.parametrize(
    "config",
    [x.defaults() for x in (mcti, protext, aape, aape_captioning, aape_retrieval, aape_vqa)],
    ids=lambda x: x.method,
)
def test_no_device_is_touched_before_a_cluster_is_joined(config, monkeypatch, tmp_path):
    class Joined(Exception):
        pass

    def join():
        raise Joined

    def touched(*_):
        raise AssertionError("a device is touched")

    monkeypatch.setattr("common.training.run.join_cluster", join)
    for name in ("process_index", "process_count", "default_backend", "devices", "local_devices"):
        monkeypatch.setattr(jax, name, touched)
    with pytest.raises(Joined):
        train(find_method(config), tmp_path / "run")
    assert not (tmp_path / "run").exists()
