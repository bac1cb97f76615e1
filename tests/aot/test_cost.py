"""Time and cost of a run on a slice."""

import json
import math
import subprocess
import sys

import pytest

from common.aot.cost import SLICES, cost_table, estimate, least_seconds
from common.errors import UserError
from tests.colab.books import ROOT

# 197 TFLOP on each chip: one second at the peak of a v5e.
REPORT = {"topology": "v5e:2x4", "flops": 197 * 10**12, "config": {"updates": 1800}}


def test_by_hand():
    cost = estimate(REPORT, 0.5, price=1.25)
    assert cost.chips == 8
    assert cost.seconds == 2.0
    assert cost.hours == 1.0
    assert cost.total == 10.0
    assert "| v5e:2x4  | " in cost_table([cost])
    assert "10.00" in cost_table([cost])


def test_no_price_is_made_up():
    cost = estimate(REPORT, 0.5)
    assert cost.total is None
    assert cost_table([cost]).splitlines()[-1].split("|")[-2].strip() == "-"


def test_a_measured_time_and_other_updates_win():
    cost = estimate(REPORT, 0.5, updates=7200, seconds=0.25)
    assert (cost.seconds, cost.hours) == (0.25, 0.5)


def test_a_roofline_is_taken_where_there_is_one():
    assert least_seconds(REPORT) == 1.0
    assert least_seconds(REPORT | {"roofline": None}) == 1.0
    assert least_seconds(REPORT | {"roofline": {"seconds": 1.5}}) == 1.5


def test_slices_have_the_chips_that_their_names_say():
    for name, topology in SLICES.items():
        kind, _, size = name.rpartition("-")
        chips = math.prod(map(int, topology.partition(":")[2].split("x")))
        assert chips == int(size) // (2 if kind == "v5p" else 1), name


@pytest.mark.parametrize(
    ("report", "numbers", "named"),
    [
        (REPORT, {"utilisation": 0.0}, "utilisation=0.0"),
        (REPORT, {"utilisation": 1.5}, "utilisation=1.5"),
        (REPORT, {"utilisation": 1.0, "price": -1.0}, "price=-1.0"),
        (REPORT | {"topology": "v4:2x2x1"}, {"utilisation": 1.0}, "--seconds"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(report, numbers, named):
    with pytest.raises(UserError, match=named):
        estimate(report, **numbers)


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "common.aot.cost", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_command(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    done = run(str(tmp_path / "report.json"), "--utilisation=0.5", "--price=1.25")
    assert "10.00" in done.stdout
    refused = run(str(tmp_path / "report.json"))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: missing --utilisation")
