import io
import re

import jax
import pytest
from rich.console import Console

from common import progress
from common.progress import Progress, say


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True, width=120, markup=False)
    monkeypatch.setattr(progress, "_console", console)
    return console.file


def test_plain_lines_now_and_then(clock, capsys):
    with Progress(100, "train", status="compiling…") as bar:
        assert capsys.readouterr().out == "train: compiling…\n"
        for done in range(1, 101):
            clock.now += 0.5
            bar.update(done, {"loss": 1 / done})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11  # 50 seconds, one line every 5, and the last.
    assert lines[0] == "train: 1/100  loss 1"
    assert lines[1] == "train: 11/100  loss 0.09091  2 steps/s  0:00:44 left"
    assert lines[-1] == "train: 100/100  loss 0.01  2 steps/s  0:00:00 left"


def test_the_end_is_said_once(clock, capsys):
    with Progress(2, "train") as bar:
        bar.update(2)
        bar.update(2)
    assert capsys.readouterr().out.count("2/2") == 1


def test_the_speed_leaves_pauses_out(clock, capsys):
    with Progress(100, "train") as bar:
        bar.update(1)
        clock.now += 1
        bar.update(11)
        assert bar.speed == 10
        with bar.paused("evaluating…"):
            clock.now += 1000
        assert bar.speed is None
        bar.update(21)
        clock.now += 1
        bar.update(26)
        assert bar.speed == 5
    assert "train: evaluating…" in capsys.readouterr().out


def test_a_bar_on_a_terminal(terminal):
    with Progress(10, "train", start=4, status="compiling…") as bar:
        bar.update(5, {"loss": 0.5})
        with bar.paused("evaluating…"):
            say("between")
        bar.update(10, {"loss": 0.25})
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    for text in ("compiling…", "loss 0.5", "between", "10/10", "loss 0.25"):
        assert text in shown


def test_silence(capsys, monkeypatch):
    with Progress(2, "train", status="compiling…", show=False) as bar:
        bar.update(2)
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with Progress(3, "Encoding") as bar:
        bar.update(3)
    say("hello")
    assert capsys.readouterr().out == ""
