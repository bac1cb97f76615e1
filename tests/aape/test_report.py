"""Tables over data sets: H is taken of the averages, as published averages are."""

import json

import pytest

from common.report import read_run, report


def write(folder, dataset, base, new):
    folder.mkdir()
    result = {
        "method": "aape",
        "dataset": dataset,
        "model": "m",
        "seed": 0,
        "metrics": {"accuracy_base": base, "accuracy_new": new},
        "baselines": {},
    }
    (folder / "result.json").write_text(json.dumps(result))
    return read_run(folder)


def test_harmonic_mean_of_the_averages(tmp_path):
    runs = [write(tmp_path / "a", "a", 0.9, 0.3), write(tmp_path / "b", "b", 0.7, 0.8)]
    text = report(runs)
    row = next(
        line for line in text[text.index("Average over 2") :].splitlines() if "| aape" in line
    )
    numbers = [float(cell) for cell in row.split("|")[2:-1]]
    base, new = 80.0, 55.0
    assert numbers == pytest.approx([base, new, 2 * base * new / (base + new)], abs=0.06)
