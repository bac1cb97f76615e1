"""The command that measures several folders of models by one judge."""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from common.nesting import flatten
from common.weights.files import write_tensors
from tests.mcti.tiny import random_params
from tools.pocket import compare
from tools.pocket.judge import Judge, read_judge

BUNDLED = "common/pocket/models"


@pytest.fixture(autouse=True)
def values(monkeypatch):
    values = SimpleNamespace(models=[], judge=None, out=None)
    monkeypatch.setattr(compare.flags, "FLAGS", values)
    return values


def test_folders_stand_side_by_side(monkeypatch, tmp_path, capsys, values):
    for part in ("clip", "sd"):
        (tmp_path / part).symlink_to(Path(BUNDLED, part).absolute())
    folders, asked = [BUNDLED, str(tmp_path)], []

    def measured(clip, sd, judge, test_size):
        asked.append((clip.config.text.width, sd.latent_shape, judge, test_size))
        return {"clip/a": 0.25, "sd/b": len(asked) / 2}

    monkeypatch.setattr(compare, "measured", measured)
    monkeypatch.setattr(compare, "train_judge", lambda plan, seed: "trained")
    out = tmp_path / "table.md"
    values.models, values.out = folders, str(out)
    compare.main(["compare"])
    lines = out.read_text().splitlines()
    assert all(folder in lines[0] for folder in folders)
    assert lines[-1].split() == ["|", "sd/b", "|", "0.500", "|", "1.000", "|"]
    assert lines[-1] in capsys.readouterr().out
    assert asked == [(128, (8, 8, 8), "trained", 1000)] * 2


def test_folders_without_models_are_refused(values):
    values.models = ["tools/pocket"]
    with pytest.raises(UserError, match="'tools/pocket' has no clip and no sd/"):
        compare.main(["compare"])


def test_no_folder_at_all_is_refused(values):
    values.models = [""]
    with pytest.raises(UserError, match="names no folder"):
        compare.main(["compare"])


def test_a_judge_is_read_and_nothing_else(tmp_path):
    params = random_params(Judge(), jnp.zeros((1, 32, 32, 3)))
    write_tensors(tmp_path / "judge.safetensors", flatten(params), {})
    read = read_judge(str(tmp_path / "judge.safetensors"))
    jax.tree.map(np.testing.assert_array_equal, read, params)
    for name, tensors in {
        "other": {"a": np.ones(3)},
        "wide": flatten(jax.tree.map(lambda x: np.ones((2, *x.shape)), params)),
    }.items():
        write_tensors(tmp_path / f"{name}.safetensors", tensors, {})
        with pytest.raises(UserError, match="does not hold a judge"):
            read_judge(str(tmp_path / f"{name}.safetensors"))
