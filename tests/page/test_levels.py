"""Baselines in the curves of a page: horizontal lines beside the evaluations of a run."""

import json
import re

import numpy as np

from common.page import write_page
from common.page.curves import MOST_CURVES, pictures

ACCURACY = [(10, 0.25), (20, 0.5)]
BASELINES = {
    "names": {"accuracy": 0.75},
    "ti": {"accuracy": 0.375, "generated/accuracy": 0.125},
    "other": {"loss": 1.0, "accuracy": None},
}


LINE = r'<path d="M [\d.]+ ([\d.]+) *\s*L [\d.]+ ([\d.]+) *\s*" clip-path="[^"]*" style="([^"]*)"'


def heights(svg):
    """The height of every dashed line across the axes, from the top."""
    lines = [(left, right) for left, right, style in re.findall(LINE, svg) if "dasharray" in style]
    assert all(left == right for left, right in lines)
    return [float(left) for left, _ in lines]


def test_baselines_are_lines_at_their_values():
    ((title, svg),) = pictures({"eval/accuracy": ACCURACY}, "mcti", BASELINES)
    assert title == "evaluation: accuracy (%)"
    for name in ("mcti", "names", "ti"):
        assert f">{name}</text>" in svg
    assert ">other</text>" not in svg
    (ends,) = [ends for *ends, style in re.findall(LINE, svg) if "#1f77b4" in style]
    low, high = map(float, ends)  # Of 25 and 50 %.
    wanted = [high + (high - low), (low + high) / 2]  # Of 75 and 37.5 %.
    np.testing.assert_allclose(heights(svg), wanted, atol=0.01)


def test_each_part_has_the_baselines_of_its_own_metric():
    curves = {"eval/accuracy": ACCURACY, "eval/generated/accuracy": ACCURACY}
    ((_, svg),) = pictures(curves, "mcti", BASELINES)
    assert len(heights(svg)) == 3 and ">ti, generated</text>" in svg


def test_what_an_update_reports_has_no_baselines():
    ((_, svg),) = pictures({"accuracy": ACCURACY}, "mcti", BASELINES)
    assert heights(svg) == []


def test_no_picture_has_more_lines_than_can_be_told_apart():
    many = {f"b{number}": {"accuracy": number / 100} for number in range(30)}
    ((_, svg),) = pictures({"eval/accuracy": ACCURACY}, "mcti", many)
    assert len(heights(svg)) == MOST_CURVES - 1


def test_a_page_draws_the_baselines_of_its_result(tmp_path):
    lines = [{"step": step, "eval/accuracy": value} for step, value in ACCURACY]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    result = {"method": "aape", "dataset": "d", "model": "m", "seed": 0}
    result |= {"metrics": {"accuracy": 0.5}, "baselines": {"clip": {"accuracy": 0.4}, "zero": 0.1}}
    text = write_page(tmp_path, result, {}).read_text()
    assert ">clip</text>" in text and ">zero</text>" in text
    assert len(heights(text)) == 2
