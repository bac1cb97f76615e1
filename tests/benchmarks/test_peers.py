"""The comparison with other JAX collections, from recorded results and without their packages."""

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import peer_runners, peer_tables, peers
from common.errors import UserError
from common.files import read_json

ROOT = Path(__file__).parents[2]
FIGURES = {
    "text_error": 1.6e-3,
    "image_error": 1e-6,
    "text_seconds": 0.5,
    "image_seconds": 1.25,
    "load_seconds": 3.0,
    "load_bytes": 300,
    "versions": {"keras-hub": "0.32.0"},
}
RESULTS = {
    "model": "ViT-B/32",
    "bytes": 200,
    "tolerance": 3e-6,
    "libraries": {"this package": FIGURES | {"text_error": 1e-6}, "keras-hub": FIGURES},
}


def test_the_tables_of_results():
    shown = peer_tables.tables(RESULTS)
    (row,) = [
        line for line in shown.splitlines() if line.startswith("| keras-hub") and "e-" in line
    ]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == [
        *("1.6e-03", "1.0e-06", "0.50", "1.25", "3.00", "1.50"),
    ]
    assert "keras-hub is further off: the last layer norm" in shown
    assert all(name in shown for name in peer_tables.NOT_MEASURED)
    exact = {**RESULTS["libraries"], "keras-hub": FIGURES | {"text_error": 1e-6}}
    assert "further off" not in peer_tables.tables(RESULTS | {"libraries": exact})


def test_the_page_shows_the_recorded_results():
    page = (ROOT / "docs" / "peers.md").read_text()
    assert peer_tables.tables(read_json(peers.RESULTS)) in page


def test_every_library_has_a_runner():
    assert set(peer_runners.RUNNERS) == {peer_tables.OURS, *peer_tables.PEERS}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"libraries": ["scenic"]}, "unknown libraries scenic; there are transformers, keras-hub."),
        ({"install": "a", "environments": "b"}, "give one."),
        ({"environments": "nowhere"}, "nowhere holds no environment transformers: build it with"),
    ],
)
def test_bad_options_are_refused(options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = {"install": None, "environments": None, "libraries": [*peer_tables.PEERS]}
    given = SimpleNamespace(model="ViT-B/32", **{**usual, **options})
    monkeypatch.setattr(peers, "flags", SimpleNamespace(FLAGS=given))
    with pytest.raises(UserError, match=re.escape(sentence)):
        peers.main([])
    assert not list(tmp_path.iterdir())


def test_inputs_end_in_the_largest_id():
    config = {"text_config": {"vocab_size": 100}, "vision_config": {"image_size": 4}}
    inputs = dict(peers._inputs(config))
    ends = inputs["ids"].argmax(1)
    assert (np.take_along_axis(inputs["ids"], ends[:, None], 1) == 99).all()
    assert (inputs["ids"] == 99).sum() == peers.ROWS and inputs["pixels"].shape == (8, 4, 4, 3)
