"""What a notebook shows of a run."""

import json

import numpy as np
import pytest

from common.errors import UserError
from common.notebook import curves, pictures, table
from common.pictures import write_png


@pytest.fixture
def run(tmp_path):
    """A finished run."""
    result = {
        "method": "mcti",
        "dataset": "folder:mugs",
        "model": "pocket",
        "seed": 0,
        "seconds": 1.5,
        "metrics": {"accuracy": 0.5},
        "baselines": {"ti": {"accuracy": 0.25}},
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    lines = [{"step": step, "mcti/loss": 1 / step} for step in (1, 2)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    write_png(tmp_path / "samples.png", np.zeros((4, 4, 3), np.uint8))
    return tmp_path


def test_table_is_the_report(run):
    shown = table(run)._repr_mimebundle_()
    assert "| mcti   |         50.0 |" in shown["text/markdown"]
    assert "| ti     |         25.0 |" in shown["text/markdown"]


def test_pictures_and_curves_hold_everything(run):
    shown = pictures(run)._repr_mimebundle_()
    assert shown["text/html"].count('src="data:image/png;base64,') == 1
    assert "samples" in shown["text/html"]
    assert "<svg" in curves(run)._repr_mimebundle_()["text/html"]


def test_plain_text_does_not_repeat_the_content(run):
    assert len(pictures(run)._repr_mimebundle_()["text/plain"]) < 30


def test_an_unfinished_run_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        table(tmp_path)
