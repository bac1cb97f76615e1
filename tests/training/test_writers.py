import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from common.training.writers import MetricWriter, read_evaluations


def lines(workdir) -> list[dict]:
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def events(workdir) -> list:
    """The records of all event files, in the order they were made."""
    found = []
    for path in sorted(workdir.glob("events.*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def test_lines_are_on_disk_at_once(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 0.5, "count": 2})
        assert lines(tmp_path) == [{"step": 1, "loss": 0.5, "count": 2}]
        writer.write(2, {"loss": np.float32(0.25), "n": jnp.int32(3)})
        assert writer.length == (tmp_path / "metrics.jsonl").stat().st_size
    assert lines(tmp_path)[1] == {"step": 2, "loss": 0.25, "n": 3}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan"), None])
def test_what_is_not_finite_becomes_null(tmp_path, value):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": value})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": null}\n'


def test_a_resumed_run_cuts_what_came_after_its_checkpoint(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})
        length = writer.length
        writer.write(2, {"loss": 2.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')  # A line that the interruption cut in half.
    with MetricWriter(tmp_path, step=1, length=length) as writer:
        writer.write(2, {"loss": 4.0})
    assert lines(tmp_path) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 4.0}]


def test_metrics_that_someone_removed_do_not_matter(tmp_path):
    with MetricWriter(tmp_path, step=5, length=1000) as writer:
        writer.write(6, {"loss": 1.0})
    assert lines(tmp_path) == [{"step": 6, "loss": 1.0}]


def test_evaluations_before_a_checkpoint_are_read_back(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(0, {"eval/a": 1.0})
        writer.write(2, {"loss": 0.5})
        writer.write(2, {"eval/a": 2.0, "eval/b": 3.0})
        length = writer.length
        writer.write(4, {"eval/a": 4.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"st')  # Where the disk was full.
    assert read_evaluations(tmp_path, 4, length) == [{"a": 1.0}, {"a": 2.0, "b": 3.0}]
    # The evaluation of the checkpoint's own step is made again.
    assert read_evaluations(tmp_path, 2, length) == [{"a": 1.0}]
    assert read_evaluations(tmp_path, 0, 0) == read_evaluations(tmp_path / "none", 4, 9) == []


def test_other_hosts_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with MetricWriter(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})
        writer.pictures(1, {"a": np.zeros((2, 2, 3), np.uint8)})
        assert writer.length == 0
    assert not list(tmp_path.iterdir())


def test_tensorboard_sees_numbers_and_pictures(tmp_path):
    with MetricWriter(tmp_path) as writer:
        writer.write(3, {"loss": 0.5, "bad": float("nan"), "note": None})
        writer.pictures(3, {"grid": np.zeros((4, 5, 3), np.uint8)})
    shown = {v.tag: (e.step, v) for e in events(tmp_path) for v in e.summary.value}
    assert shown.keys() == {"loss", "grid"}
    assert shown["loss"][0] == 3
    assert shown["loss"][1].simple_value == 0.5
    assert (shown["grid"][1].image.height, shown["grid"][1].image.width) == (4, 5)


@pytest.mark.parametrize("step", [0, 7])  # 0: it was killed before its first checkpoint
def test_tensorboard_forgets_what_is_written_again(tmp_path, step):
    with MetricWriter(tmp_path, step=step) as writer:
        writer.write(8, {"loss": 0.5})
    starts = [e.step for e in events(tmp_path) if e.session_log.status == SessionLog.START]
    assert starts == [step + 1]
