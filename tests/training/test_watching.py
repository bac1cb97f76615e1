"""What shows a run while it learns: previews, traces of updates, rates and FLOP utilisation."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

from common.chips import CHIPS, GENERATIONS, chip_of
from common.errors import UserError
from common.flops import count_flops
from common.training.mesh import make_mesh
from common.training.profiling import parse_profile
from common.training.schedule import Schedule
from common.training.utilisation import FlopMeter


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def stop_at(runs, monkeypatch, step):
    """Makes a run crash when it is to read the batch of a step."""
    batch = runs.toy.Indices.batch

    def crash(self, at):
        if at == step:
            raise RuntimeError("crash")
        return batch(self, at)

    monkeypatch.setattr(runs.toy.Indices, "batch", crash)


# ---- Previews.


@pytest.fixture
def previewing(runs, monkeypatch):
    """The toy's config has the field, and its pictures show what was learned so far."""
    get_config = runs.toy.get_config

    def with_field(arg=None):
        config = get_config()
        config.preview_every = 0
        return runs.toy.apply_arg(config, arg)

    def preview(self, trainable, frozen):
        level = np.asarray(trainable["tokens"]).view(np.uint8)[:, :, :3].astype(np.uint8)
        return {"preview": np.ascontiguousarray(level)}

    monkeypatch.setattr(runs.toy, "get_config", with_field)
    monkeypatch.setattr(runs.toy.Toy, "get_config", staticmethod(with_field))
    monkeypatch.setattr(runs.toy.Toy, "preview", preview)


def previews(workdir):
    return {
        int(file.parent.name): file.read_bytes()
        for file in sorted(workdir.glob("pictures/*/preview.png"))
    }


def test_previews_change_nothing_about_what_is_learned(
    runs, previewing, undisturbed, same_run, tmp_path
):
    runs.train(tmp_path, "preview_every=15")
    same_run(tmp_path, undisturbed)
    found = previews(tmp_path)
    assert list(found) == [15, 30] and found[15] != found[30]
    with Image.open(tmp_path / "pictures/00000015/preview.png") as picture:
        assert picture.size == (2, 8)
    assert previews(undisturbed) == {}


def test_a_run_that_resumes_draws_the_same_previews(runs, previewing, tmp_path, monkeypatch):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    runs.train(whole, "preview_every=5")
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="crash"):
        stop_at(runs, patch, 17)
        runs.train(parts, "preview_every=10")
    assert list(previews(parts)) == [10]
    runs.train(parts, "preview_every=5")  # The field may change.
    assert previews(parts) == {
        s: x for s, x in previews(whole).items() if s in (10, 15, 20, 25, 30)
    }


def test_a_finished_run_is_neither_evaluated_nor_drawn_again_for_a_preview(
    runs, previewing, tmp_path
):
    result = runs.train(tmp_path, "updates=10")
    assert runs.train(tmp_path, "updates=10,preview_every=5") == result
    assert previews(tmp_path) == {}


def test_previews_are_due_at_multiples_and_at_the_end():
    counts = {"updates": 10, "steps_per_call": 2, "log_every": 2, "save_every": 0, "eval_every": 0}
    schedule = Schedule(**counts, preview_every=4)
    assert [s for s in range(11) if schedule.previews_at(s)] == [4, 8, 10]
    assert [s for s in range(1, 11) if schedule.pauses_at(s)] == [4, 8, 10]
    assert not any(Schedule(**counts).previews_at(s) for s in range(11))
    with pytest.raises(UserError, match="preview_every=3 is not a multiple"):
        Schedule(**counts, preview_every=3)


# ---- Traces.


@pytest.fixture
def profiling(runs, monkeypatch):
    """The toy's config has the field, and the profiler notes when it is started and stopped."""
    get_config, noted = runs.toy.get_config, []

    def with_field(arg=None):
        config = get_config()
        config.profile = ""
        return runs.toy.apply_arg(config, arg)

    def start(folder, profiler_options):
        assert profiler_options.python_tracer_level == 0  # It has crashed a run that was saved.
        noted.append("start")
        with open(f"{folder}/trace", "w") as file:
            file.write(str(len(noted)))

    monkeypatch.setattr(runs.toy, "get_config", with_field)
    monkeypatch.setattr(runs.toy.Toy, "get_config", staticmethod(with_field))
    monkeypatch.setattr(jax.profiler, "start_trace", start)
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: noted.append("stop"))
    batch = runs.toy.Indices.batch

    def note(self, step):
        noted.append(step)
        return batch(self, step)

    monkeypatch.setattr(runs.toy.Indices, "batch", note)
    return noted


@pytest.mark.parametrize("span", ["11:16", "10:20"])
def test_the_calls_of_a_span_are_traced(runs, profiling, tmp_path, capsys, span):
    runs.train(tmp_path, f"profile={span},eval_every=0")
    steps = [x for x in profiling if x in ("start", "stop") or x % 5 == 0]
    assert steps == [0, 5, 10, "start", 15, "stop", 20, 25]
    assert (tmp_path / "profile/trace").exists()
    assert f"xprof --port=8791 {tmp_path}/profile" in capsys.readouterr().out


def test_a_run_that_resumes_within_a_span_traces_the_rest(
    runs, profiling, undisturbed, same_run, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="crash"):
        stop_at(runs, patch, 15)
        runs.train(tmp_path, "profile=10:20")
    assert profiling[-1] == "stop"
    del profiling[:]
    runs.train(tmp_path, "profile=10:20")
    assert [x for x in profiling if isinstance(x, str)] == ["start", "stop"]
    same_run(tmp_path, undisturbed)
    (tmp_path / "result.json").unlink()
    del profiling[:]
    runs.train(tmp_path, "profile=10:20")
    assert profiling == []
    assert "profile=10:20 traces nothing: the run is at step 30." in capsys.readouterr().out


def test_a_trace_is_one(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.toy.Toy, "get_config", staticmethod(runs.toy.get_config))
    config = runs.toy.get_config("updates=10,eval_every=0,progress=false,mesh.data=1")
    config.profile = "5:10"
    runs.toy.train(runs.toy.Toy(config), tmp_path)
    assert list((tmp_path / "profile").glob("plugins/profile/*/*.xplane.pb"))


@pytest.mark.parametrize(
    "text", ["5", "5:", ":5", "5:5", "7:5", "0:31", "-1:5", "a:b", "1:2:3", "٣:5"]
)
def test_odd_spans_are_refused(text, runs, profiling, tmp_path):
    with pytest.raises(UserError, match=r"is not START:STOP with 0 <= START < STOP <= updates=30"):
        parse_profile(text, 30)
    with pytest.raises(UserError, match="is not START:STOP"):
        runs.train(tmp_path / "run", f"profile={text}")
    assert not (tmp_path / "run").exists()


def test_spans():
    assert list(parse_profile("", 30)) == []
    assert parse_profile("0:30", 30) == range(30)


# ---- Rates.


def test_the_rate_of_the_last_update_is_logged(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(runs.toy.Toy, "learning_rates", lambda _, step: {"learning_rate": step / 8})
    runs.train(tmp_path, "eval_every=0")
    assert [(x["step"], x["learning_rate"]) for x in lines(tmp_path)[:-1]] == [
        *((10, 9 / 8), (20, 19 / 8), (30, 29 / 8))
    ]


# ---- FLOP utilisation.


def test_utilisation_is_by_hand(monkeypatch):
    monkeypatch.setitem(GENERATIONS, jax.devices()[0].device_kind, "v5e")
    meter = FlopMeter(make_mesh(4, 1), updates=5)
    assert meter.utilisation(2.0) is None
    x = np.zeros((8, 16), np.float32)
    call = jax.jit(lambda x: jax.lax.scan(lambda y, _: (y @ (x.T @ x), None), x, None, length=5)[0])
    meter.count(call, x)
    # An update: two products of 8 x 16 x 16, on four chips of 197e12 each.
    update = 2 * (2 * 8 * 16 * 16)
    assert meter.utilisation(2.0) == pytest.approx(2 * update / (4 * 197e12))
    assert meter.utilisation(None) is None


def test_a_run_writes_it_where_the_peak_is_known(
    runs, undisturbed, same_run, tmp_path, monkeypatch
):
    assert not any("flop_utilisation" in line for line in lines(undisturbed))
    monkeypatch.setitem(GENERATIONS, jax.devices()[0].device_kind, "v6e")
    counted, traced, loss = [], [], runs.toy.Toy.loss

    def count(jaxpr):
        counted.append(count_flops(jaxpr))
        return counted[-1]

    def note(self, *arguments):
        traced.append(1)
        return loss(self, *arguments)

    monkeypatch.setattr("common.training.utilisation.count_flops", count)
    monkeypatch.setattr(runs.toy.Toy, "loss", note)
    runs.train(tmp_path)
    assert len(counted) == 1 and counted[0] > 0
    assert len(traced) == 1, "counting traces the step again"
    found = [line for line in lines(tmp_path) if "loss" in line]
    shares = [x["flop_utilisation"] for x in found if x["steps_per_second"]]
    assert len(shares) >= 2
    for line in (x for x in found if x["steps_per_second"]):
        # Five updates a call, on eight devices.
        wanted = line["steps_per_second"] * counted[0] / 5 / (8 * 918e12)
        assert line["flop_utilisation"] == pytest.approx(wanted)


def test_kinds_are_of_generations_with_known_peaks():
    assert set(GENERATIONS.values()) == set(CHIPS)
    assert chip_of("TPU v5 lite") is CHIPS["v5e"] and chip_of("TPU v5") is CHIPS["v5p"]
    assert chip_of("cpu") is None
