"""The command for GPUs, on a CPU with tiny networks: that every part measures and says so."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from benchmarks.gpu import parts
from benchmarks.gpu.setting import Setting, reason
from benchmarks.gpu.tables import show
from common.files import read_json

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture
def run(tmp_path):
    """Measure parts in this process and return their results."""

    def measured(*names):
        setting = Setting(tiny=True, device="cpu", work=tmp_path, seconds=0.0)
        for name in names:
            parts.run_part(name, setting, tmp_path / "gpu.json")
        results = read_json(tmp_path / "gpu.json")
        assert [*results] == [*names]
        assert not [row for entry in results.values() for row in entry["rows"] if "error" in row]
        return [results[name] for name in names]

    pytest.importorskip("torch")
    pytest.importorskip("diffusers")
    yield measured
    jax.config.update("jax_default_matmul_precision", None)


def command(out, *arguments):
    """Run the command on the CPU."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.on_gpu", f"--out={out}", "--device=cpu", *arguments],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "networks"), [("clip", 3), ("sd", 3)])
def test_networks_agree(run, name, networks):
    (entry,) = run(name)
    assert len(entry["rows"]) == networks
    for row in entry["rows"]:
        assert 0 < row["outputs"] < 1e-4, row
        assert 0 < row["gradient"] < 1e-4, row


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
def test_updates_are_timed_and_compared(run):
    ours, theirs = run("mcti", "mcti_torch")
    assert [row["rows"] for row in ours["rows"]] == [4, 8]
    assert all(row["samples/s"] > 0 and row["GiB"] > 0 for row in ours["rows"])
    assert len(theirs["rows"]) == 3
    assert float(theirs["notes"][0].split()[-3]) < 0.2


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
def test_pictures_are_those_of_diffusers(run):
    ours, theirs = run("sampling", "sampling_torch")
    assert [row["pictures at once"] for row in ours["rows"] + theirs["rows"]] == [1, 4] * 2
    assert float(theirs["notes"][0].split()[-3]) < 1e-4


@pytest.mark.reference
@pytest.mark.filterwarnings("ignore")
def test_steps_of_protext(run):
    (entry,) = run("protext")
    assert [row["step"] for row in entry["rows"]] == ["the reference's", "ours"]
    assert entry["rows"][1]["agreed in float32 to"] < 1e-4


def test_what_fits_a_card():
    from benchmarks.gpu.training import largest

    small, large = largest({1: 3.0, 4: 6.0, 8: 10.0})
    assert "13 rows fit 16 GiB" in small
    assert "77 rows fit 80 GiB" in large
    assert not [*largest({4: 6.0})]


def test_rows_that_failed_say_so():
    rows = [{"rows": 4, "GiB": 2.25}, {"rows": 8, "error": reason(MemoryError("too | much\nat"))}]
    entry = {"title": "Update", "rows": rows, "notes": ["So it is."], "where": "a card"}
    text = show({"x": entry, "y": {"title": "None", "rows": [], "notes": [], "error": "stopped"}})
    assert "|    4 | 2.25 |" in text
    assert r"MemoryError: too \| much |" in text
    assert "### None\n\nNot finished: stopped." in text
    assert text.endswith("(a card)\n")


def test_a_part_that_takes_too_long_keeps_its_rows(tmp_path):
    results = tmp_path / "gpu.json"
    results.write_text('{"clip": {"title": "t", "rows": [{"a": 1}], "notes": []}}')
    assert parts.run_apart("clip", [f"--out={tmp_path}"], results, seconds=0.01, cpu=True)
    assert read_json(results)["clip"]["error"] == "stopped after 0 s"
    assert read_json(results)["clip"]["rows"] == [{"a": 1}]


@pytest.mark.reference
def test_parts_for_which_no_time_is_left(tmp_path):
    pytest.importorskip("diffusers")
    ended = command(tmp_path, "--tiny", "--parts=clip,sd", "--limit=1")
    assert ended.returncode == 1
    results = read_json(tmp_path / "gpu.json")
    faults = {entry["error"] for entry in results.values()}
    assert faults == {"not begun, because the time was up"}
    assert "Not finished" in (tmp_path / "gpu.md").read_text()


def test_unknown_parts_are_refused(tmp_path):
    ended = command(tmp_path / "out", "--parts=clip,none")
    assert ended.returncode == 2
    assert "--parts=none is not a part" in ended.stderr
    assert not (tmp_path / "out").exists()
