"""AAPE on images of another size than the weights'."""

import json

import numpy as np
import pytest

import aape_jax
from aape_jax.classification import material
from aape_jax.classification.measuring import open_other_set, open_own_sets
from common.clip import load_clip
from common.config import changed
from common.data import Dataset
from common.training import train
from common.training.method import find_method
from configs.aape import get_config

pytestmark = pytest.mark.usefixtures("quick_compiler")
NAMES = ("red star", "fish")


def test_a_run_remembers_its_image_size(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    pictures, labels = list(rng.integers(0, 256, (8, 40, 50, 3), np.uint8)), np.repeat([0, 1], 4)
    photos = Dataset.from_arrays(pictures, labels, NAMES, test=(pictures, labels))
    sentences = {name: [f"a {name}", f"the {name} of it"] for name in NAMES}
    (tmp_path / "corpus.json").write_text(json.dumps(sentences))
    config = get_config(
        {
            "image_size": 48,
            "data": photos.spec,
            "prompts.source": f"json:{tmp_path / 'corpus.json'}",
            "shots": 0,
            "updates": 4,
            "steps_per_call": 2,
            "log_every": 4,
            "save_every": 4,
            "batch": 8,
            "baselines": (),
            "compare": (),
            "cache": str(tmp_path / "cache"),
            "compile_cache": "",
            "mesh.data": 1,
            "progress": False,
        }
    )
    train(find_method(config), tmp_path / "run")
    run = aape_jax.load(tmp_path / "run")
    clip = load_clip("pocket", image_size=48)
    assert run.clip.fingerprint == clip.fingerprint
    assert run.clip.fingerprint != load_clip("pocket").fingerprint
    assert run.classify([photos.test.load(0)]).names[0] in NAMES
    width, encode = open_own_sets(run.config, tmp_path / "run")
    assert width == clip.config.vision.projection
    monkeypatch.setattr(material, "encode", lambda *_: pytest.fail("training photos were encoded"))
    assert [len(test.x) for test in encode().values()] == [8]
    assert "is not what it learned with" not in capsys.readouterr().out
    other = changed(run.config, {"image_size": 0})
    open_own_sets(other, tmp_path / "run")
    assert f"The model of {tmp_path / 'run'} is not what it learned" in capsys.readouterr().out
    open_other_set(other, tmp_path / "run", photos.spec)
    assert f"The model of {tmp_path / 'run'} is not what it learned" in capsys.readouterr().out
