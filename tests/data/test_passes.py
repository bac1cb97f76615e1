"""Passes in parts: the same bytes as in one go, and nothing is computed twice."""

import os
import threading
import time

import numpy as np
import pytest

from common.data import passes
from common.data.passes import cached_pass
from common.encoding import feature_pass

WEIGHTS = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)


def encode(params, batch):
    return {"mixed": batch @ params, "sum": batch.sum(1)}


def example(row: int) -> np.ndarray:
    return np.random.default_rng(row).standard_normal(5).astype(np.float32)


class Examples:
    """Counts what is asked of it; broken from some row on."""

    def __init__(self, broken: int | None = None):
        self.asked: list[int] = []
        self.broken = broken

    def __call__(self, row: int) -> np.ndarray:
        if self.broken is not None and row >= self.broken:
            raise KeyboardInterrupt
        self.asked.append(row)
        return example(row)


def run(directory, examples, count=50, part=16):
    return cached_pass(
        encode,
        WEIGHTS,
        examples,
        count,
        names=("mixed", "sum"),
        batch_size=8,
        part=part,
        directory=directory,
        key=lambda rows: {"rows": f"{rows.start}-{rows.stop}"},
        title="Encoding",
        unit="rows",
    )


@pytest.mark.parametrize("count", [50, 48, 3])
def test_parts_give_the_bytes_of_one_pass(tmp_path, count):
    whole = feature_pass(encode, WEIGHTS, example, count, batch_size=8)
    parts = run(tmp_path, Examples(), count)
    assert len(list(tmp_path.iterdir())) == 2 * -(-count // 16)
    for name in whole:
        assert parts[name].tobytes() == whole[name].tobytes()


def test_an_interrupted_pass_computes_only_what_is_missing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Examples(broken=40))
    assert len(list(tmp_path.iterdir())) == 2 * 2
    examples = Examples()
    found = run(tmp_path, examples)
    assert set(examples.asked) == set(range(32, 50))
    examples = Examples()
    assert run(tmp_path, examples)["sum"].tobytes() == found["sum"].tobytes()
    assert not examples.asked


def test_a_part_that_was_deleted_or_damaged_is_made_again(tmp_path):
    expected = run(tmp_path, Examples())
    first, second = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_mtime_ns)[1:3]
    first.unlink()
    second.write_bytes(second.read_bytes()[:100])
    examples = Examples()
    found = run(tmp_path, examples)
    assert set(examples.asked) == set(range(32))
    for name in expected:
        assert found[name].tobytes() == expected[name].tobytes()


def test_several_runs_may_fill_one_folder(tmp_path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(run(tmp_path, example))) for _ in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each["mixed"].tobytes() for each in found}) == 1 and len(found) == 3
    assert len(list(tmp_path.iterdir())) == 2 * 4


def test_leftovers_of_killed_runs_are_removed_after_a_day(tmp_path):
    old, new = (tmp_path / f".part.partial-{name}.npz" for name in ("old", "new"))
    for path in (old, new):
        path.touch()
    yesterday = time.time() - passes.A_DAY - 1
    os.utime(old, (yesterday, yesterday))
    run(tmp_path, Examples())
    assert not old.exists() and new.exists()


def test_a_part_holds_whole_batches(tmp_path):
    with pytest.raises(ValueError, match="part=12 must be a multiple of batch_size=8"):
        run(tmp_path, example, part=12)
