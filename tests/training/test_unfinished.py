"""What an unfinished run has learned can be read without going on with it."""

import json
import signal

import numpy as np
import pytest

from common.errors import UserError
from common.training import RunInputs
from common.training.unfinished import read_unfinished, say_changed_data


@pytest.fixture
def stopped(runs, tmp_path, monkeypatch):
    """The folder of a run that was stopped at step 15 of 30, with two older checkpoints."""
    batch, load = runs.toy.Indices.batch, runs.toy.Toy.load

    def press(self, step):
        if step == 12:
            signal.raise_signal(signal.SIGINT)
        return batch(self, step)

    def noting(self, mesh, tell):
        found = load(self, mesh, tell)
        return RunInputs(
            found.frozen, found.source, found.fingerprints, notes={"classes": ["a", "b"]}
        )

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(runs.toy.Indices, "batch", press)
        patch.setattr(runs.toy.Toy, "load", noting)
        runs.train(tmp_path)
    return tmp_path


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_newest_checkpoint_is_read(stopped, capsys, caplog):
    before = files(stopped)
    caplog.clear()
    found = read_unfinished(stopped)
    assert not caplog.text
    assert found.step == 15
    assert found.fingerprints == {"weights": "none", "data": "toy"}
    assert found.notes == {"classes": ["a", "b"]}
    assert found.trainable.keys() == {"tokens"}
    assert isinstance(found.trainable["tokens"], np.ndarray)
    assert "is not finished: at step 15 of 30." in capsys.readouterr().out
    assert files(stopped) == before


def test_it_is_what_the_end_of_a_shorter_run_would_write(stopped, runs, tmp_path_factory):
    short = tmp_path_factory.mktemp("short")
    runs.train(short, "updates=15,eval_every=0")
    found = read_unfinished(stopped).trainable["tokens"]
    np.testing.assert_array_equal(found, np.load(short / "tokens.npy"))


def test_a_damaged_one_gives_way_to_the_one_before(stopped, capsys):
    note = stopped / "checkpoints" / "00000015" / "position" / "metadata"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"checksum": "0"}))
    assert read_unfinished(stopped).step == 10
    assert "The checkpoint of step 15 cannot be read" in capsys.readouterr().out
    for other in stopped.rglob("metadata"):
        other.write_text("{")
    with pytest.raises(UserError, match="none of the 3 checkpoints"):
        read_unfinished(stopped)


def test_a_run_without_a_checkpoint(stopped, tmp_path):
    (tmp_path / "checkpoints").rename(tmp_path / "away")
    with pytest.raises(UserError, match="has no checkpoint yet"):
        read_unfinished(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="has no checkpoint yet"):
        read_unfinished(tmp_path)


def test_changed_data_are_said(undisturbed, runs, monkeypatch, capsys):
    """By the command `evaluate` of any method on the run's own data."""
    method = runs.toy.Toy
    config = runs.toy.get_config()
    method.measure(config, undisturbed, None)
    assert "have changed" not in capsys.readouterr().out
    monkeypatch.setattr(runs.toy.Indices, "fingerprint", "others")
    method.measure(config, undisturbed, "others")
    assert "have changed" not in capsys.readouterr().out
    method.measure(config, undisturbed, None)
    assert "have changed since it learned from them" in capsys.readouterr().out


def test_data_that_cannot_be_compared_are_said_or_passed_over(undisturbed, tmp_path, capsys):
    def missing():
        raise UserError("a photo is missing")

    say_changed_data(undisturbed, lambda: {"test data": "of a name that older runs lack"})
    say_changed_data(tmp_path, missing)
    assert capsys.readouterr().out == ""
    say_changed_data(undisturbed, missing)
    assert "cannot be compared with its data now (a photo is missing" in capsys.readouterr().out
