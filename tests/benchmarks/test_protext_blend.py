"""The table of blends: what it asks of a run, and what it shows."""

from pathlib import Path

import pytest

from benchmarks import protext_blend
from benchmarks.protext_blend import METRICS, measured, table


def test_a_run_is_asked_for_its_form_and_blend(monkeypatch):
    asked = []

    def train(method, workdir):
        asked.append((method.config, workdir))
        return "run"

    found = {"protext": dict.fromkeys(METRICS, 0.5) | {"text/cosine": 1.0}}
    monkeypatch.setattr(protext_blend, "train", train)
    monkeypatch.setattr(protext_blend, "result_rows", lambda run: found)
    assert measured(Path("runs"), "pocket", "loss=cosine,epochs=30", "0.25", 2) == dict.fromkeys(
        METRICS, 0.5
    )
    ((config, workdir),) = asked
    assert (config.loss, config.epochs, config.blend, config.seed) == ("cosine", 30, 0.25, 2)
    assert workdir == Path("runs/seed2")


def test_the_table_has_a_row_for_each_form_and_blend():
    runs = [dict.fromkeys(METRICS, x) for x in (0.5, 0.7)]
    lines = table({"loss=l2": {"1": runs, "-1": runs[:1]}}).splitlines()
    assert len(lines) == 4
    assert "1 (the paper)" in lines[2] and "60.0 ± 14.1" in lines[2]
    assert "by text" in lines[3] and "50.0" in lines[3]


@pytest.mark.parametrize("form", protext_blend.FORMS)
def test_every_form_is_one_that_a_config_can_have(form):
    protext_blend.get_config(form)
