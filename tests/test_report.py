import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import UserError
from common.evaluation.summaries import average, harmonic_mean, summarise, with_harmonic
from common.evaluation.tables import Value
from common.report import read_run, report


@pytest.fixture
def write_run(tmp_path):
    """Returns a function that writes a finished run and gives its folder."""

    def write(name: str, metrics=None, baselines=None, config=None, **changed) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        result = {
            "method": "protext",
            "dataset": "pocket:a",
            "model": "pocket",
            "seed": 0,
            "seconds": 2.5,
            "metrics": {"accuracy": 0.5} if metrics is None else metrics,
            "baselines": baselines or {},
        }
        (folder / "result.json").write_text(json.dumps(result | changed))
        if config is not None:
            (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


def lines(*folders: Path) -> list[str]:
    text = report([read_run(folder) for folder in folders])
    return [" ".join(line.split()) for line in text.splitlines()]


def test_mean_and_sample_standard_deviation_over_seeds(write_run):
    found = lines(*(write_run(str(s), {"accuracy": 0.5 + s / 10}, seed=s) for s in range(3)))

    assert "## pocket:a, model pocket" in found
    assert "| protext | 60.0 ± 10.0 |" in found


def test_one_run_has_no_spread(write_run):
    assert "| protext | 50.0 |" in lines(write_run("a"))


def test_baselines_stand_beside_the_method(write_run):
    runs = [
        write_run(str(s), seed=s, baselines={"zero_shot": {"accuracy": s / 10}, "chance": 0.1})
        for s in (1, 3)
    ]

    found = lines(*runs)

    assert "| zero_shot | 20.0 ± 14.1 |" in found
    assert "| chance | 10.0 |" in found


def test_methods_data_sets_and_models_are_kept_apart(write_run):
    found = lines(
        write_run("a"),
        write_run("b", {"accuracy": 0.1}, method="mcti", baselines={"chance": 0.2}),
        write_run("c", {"accuracy": 0.2}, dataset="pocket:b"),
        write_run("d", {"accuracy": 0.3}, model="large"),
    )

    for line in (
        "| protext | 50.0 |",
        "| mcti | 10.0 |",
        "| protext | 20.0 |",
        "| protext | 30.0 |",
    ):
        assert line in found
    assert sum(line.startswith("## pocket:") for line in found) == 3


def test_runs_with_other_settings_are_not_averaged(write_run):
    found = lines(
        write_run("a", {"accuracy": 0.1}, seed=0, config={"shots": 1, "seed": 0, "cache": "x"}),
        write_run("b", {"accuracy": 0.2}, seed=1, config={"shots": 1, "seed": 1, "cache": "y"}),
        write_run("c", {"accuracy": 0.8}, seed=0, config={"shots": 4, "seed": 0, "cache": "x"}),
    )

    assert "| protext (shots=1) | 15.0 ± 7.1 |" in found
    assert "| protext (shots=4) | 80.0 |" in found


def test_what_changes_no_result_tells_no_runs_apart(write_run):
    """A group of such fields stands for every field in it."""
    configs = ({"preview": {"number": n}, "log_every": n} for n in (1, 2))
    folders = [write_run(str(s), seed=s, config=config) for s, config in enumerate(configs)]
    assert "| protext | 50.0 |" in lines(*folders)


def test_other_seeds_are_seeds_too(write_run):
    config = {"seed": 0, "shots_seed": 0}
    found = lines(
        write_run("a", {"accuracy": 0.1}, config=config),
        write_run("b", {"accuracy": 0.3}, config=config | {"shots_seed": 1}),
    )

    assert "| protext | 20.0 ± 14.1 |" in found


def test_differing_baselines_of_one_name_are_told_apart(write_run):
    found = lines(
        write_run("a", baselines={"chance": 0.1, "zero_shot": 0.7}),
        write_run("b", method="mcti", baselines={"chance": 0.2, "zero_shot": 0.7}),
    )

    assert "| chance | 10.0 |" in found
    assert "| chance (beside mcti) | 20.0 |" in found
    assert found.count("| zero_shot | 70.0 |") == 1


def test_the_same_run_twice_is_refused(write_run):
    with pytest.raises(UserError, match=r"a and .*b are the same run, seed 0"):
        lines(write_run("a"), write_run("b"))


def test_harmonic_means_are_of_the_averages(write_run):
    found = lines(
        write_run("a", {"base/accuracy": 0.9, "new/accuracy": 0.3}, seed=0),
        write_run("b", {"base/accuracy": 0.3, "new/accuracy": 0.9}, seed=1),
    )

    # The mean of the runs' own harmonic means would be 45.
    assert "| protext | 60.0 ± 42.4 | 60.0 ± 42.4 | 60.0 |" in found


def test_average_over_data_sets(write_run):
    found = lines(
        write_run("a", {"accuracy_base": 0.9, "accuracy_new": 0.3}, {"chance": 0.1}),
        write_run("b", {"accuracy_base": 0.3, "accuracy_new": 0.9}, dataset="pocket:b"),
    )

    start = found.index("## Average over 2 data sets, model pocket")
    assert "| protext | 60.0 | 60.0 | 60.0 |" in found[start:]
    assert not any(line.startswith("| chance") for line in found[start:])


def test_unknown_numbers_are_dashes(write_run):
    found = lines(
        write_run("a", {"accuracy": None, "loss": 1}, seed=0),
        write_run("b", {"accuracy": 0.5}, seed=1),
    )

    assert "| protext | - | - |" in found


def test_summaries():
    assert summarise([1.0]) == Value(1.0)
    assert summarise([1.0, 1.0]) == Value(1.0)
    assert summarise([1.0, 3.0]) == Value(2.0, 2**0.5)
    assert summarise([1.0, float("nan")]) == Value(None)
    assert harmonic_mean(0.8, 0.4) == pytest.approx(0.5333, abs=1e-4)
    assert harmonic_mean(0.0, 0.0) == 0
    assert harmonic_mean(None, 0.5) is None
    tables = [{"m": {"a": Value(1.0), "b": Value(1.0)}, "n": {}}, {"m": {"a": Value(2.0)}}]
    assert average(tables) == {"m": {"a": Value(1.5)}}


def test_harmonic_parts_are_whole_words():
    values = {"newest": Value(0.5), "baseest": Value(0.5), "renew_base": Value(0.5)}

    assert with_harmonic({"m": values}) == {"m": values}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"holds no finished run: there is no .*result\.json"),
        ("{", "cannot be read"),
        ("[]", "holds no JSON object"),
        ('{"method": "x"}', "lacks dataset, model, seed, metrics, baselines"),
    ],
)
def test_folders_that_are_no_runs(tmp_path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "result.json").write_text(content)

    with pytest.raises(UserError, match=message):
        read_run(tmp_path)


def test_metrics_must_be_numbers(write_run):
    with pytest.raises(UserError, match=r"metrics\.accuracy='high' in .* is not a number"):
        read_run(write_run("a", {"accuracy": "high"}))
    with pytest.raises(UserError, match=r"metrics=\[1\] in .* is not an object"):
        read_run(write_run("b", [1]))


def command(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "common.report", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[1],
    )


def test_the_command_writes_and_prints_the_report(write_run, tmp_path):
    out = tmp_path / "tables" / "report.md"

    done = command(str(write_run("a")), str(write_run("b", seed=1)), f"--out={out}")

    assert done.returncode == 0, done.stderr
    assert "| protext |         50.0 |" in out.read_text()
    assert done.stdout == out.read_text()


def test_the_command_refuses_what_is_no_run(write_run, tmp_path):
    out = tmp_path / "report.md"

    done = command(str(write_run("a")), str(tmp_path / "gone"), f"--out={out}")

    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and "gone holds no finished run" in done.stderr
    assert not out.exists()
