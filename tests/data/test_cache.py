import logging

import numpy as np
import pytest

from common.data.cache import cached

KEY = {"weights": "0123", "data": "4567", "preprocessing": "squash 64"}


class Computation:
    """Counts how often it is asked."""

    def __init__(self, value: float = 1.0):
        self.calls = 0
        self.value = value

    def __call__(self) -> dict[str, np.ndarray]:
        self.calls += 1
        return {"mean": np.full((2, 3), self.value, np.float32), "labels": np.arange(2)}


def test_computed_once_and_read_afterwards(tmp_path):
    compute = Computation()

    first = cached(tmp_path / "new", KEY, compute)
    second = cached(tmp_path / "new", dict(reversed(KEY.items())), compute)

    assert compute.calls == 1
    assert set(first) == set(second) == {"mean", "labels"}
    for name in first:
        assert np.array_equal(first[name], second[name])
        assert first[name].dtype == second[name].dtype


@pytest.mark.parametrize("part", list(KEY))
def test_every_part_of_the_key_counts(tmp_path, part: str):
    cached(tmp_path, KEY, Computation(1.0))

    other = cached(tmp_path, KEY | {part: "other"}, Computation(2.0))

    assert other["mean"][0, 0] == 2.0
    assert cached(tmp_path, KEY, Computation(3.0))["mean"][0, 0] == 1.0


def test_a_part_more_is_another_key(tmp_path):
    cached(tmp_path, KEY, Computation(1.0))

    assert cached(tmp_path, KEY | {"mirror": "yes"}, Computation(2.0))["mean"][0, 0] == 2.0


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped byte", "another key"])
def test_damaged_files_are_computed_anew_with_a_warning(tmp_path, caplog, damage: str):
    cached(tmp_path, KEY, Computation(1.0))
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "flipped byte":
        content[content.index(np.float32(1.0).tobytes() * 6) + 3] ^= 0xFF
    elif damage == "another key":
        (other,) = _written(tmp_path / "b", KEY | {"data": "89"})
        content = other.read_bytes()
    else:
        content = content[: len(content) // 2] if damage == "truncated" else b""
    file.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        again = cached(tmp_path, KEY, Computation(2.0))

    assert again["mean"][0, 0] == 2.0
    assert f"{file} is damaged" in caplog.text
    assert cached(tmp_path, KEY, Computation(3.0))["mean"][0, 0] == 2.0


def _written(directory, key):
    cached(directory, key, Computation(9.0))
    return list(directory.iterdir())


def test_a_failed_computation_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cached(tmp_path, KEY, fail)
    assert list(tmp_path.iterdir()) == []


def test_types_that_a_file_cannot_hold_are_refused(tmp_path):
    import ml_dtypes

    with pytest.raises(TypeError, match="'mean' is bfloat16"):
        cached(tmp_path, KEY, lambda: {"mean": np.zeros(2, ml_dtypes.bfloat16)})
    with pytest.raises(TypeError, match="'words' is object"):
        cached(tmp_path, KEY, lambda: {"words": np.asarray([None])})
    assert list(tmp_path.iterdir()) == []
