"""The command that measures several folders of models by one judge."""

from types import SimpleNamespace

import pytest

from common.errors import UserError
from tools.pocket import compare

BUNDLED = "common/pocket/models"


@pytest.fixture(autouse=True)
def values(monkeypatch):
    values = SimpleNamespace(models=[], judge=None, out=None)
    monkeypatch.setattr(compare.flags, "FLAGS", values)
    return values


def test_folders_stand_side_by_side(monkeypatch, tmp_path, capsys, values):
    for part in ("clip", "sd"):
        (tmp_path / part).mkdir()
    folders, asked = [BUNDLED, str(tmp_path)], []

    def measured(directory, judge, test_size):
        asked.append((str(directory), judge, test_size))
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
    assert asked == [(folder, "trained", 1000) for folder in folders]


def test_folders_without_models_are_refused(values):
    values.models = ["tools/pocket"]
    with pytest.raises(UserError, match="'tools/pocket' has no clip and no sd/"):
        compare.main(["compare"])
