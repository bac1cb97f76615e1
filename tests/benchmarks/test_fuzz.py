"""The fuzzer finds faults, and a handful of its cases for every reader finds none."""

import random

import pytest

from benchmarks import fuzz
from benchmarks.fuzz_mutators import mutate
from benchmarks.fuzz_readers import READERS, Reader, write
from common.errors import UserError

CASES = {"clip_tokenizer": 2, "captions": 2, "run_folder": 3}


@pytest.mark.parametrize("name", READERS)
def test_sound_files_are_read(name, tmp_path):
    READERS[name].make(tmp_path)
    READERS[name].read(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_few_damaged_files(name):
    found = fuzz.fuzz(name, seed=11, seconds=60, most=CASES.get(name, 6))
    assert found.failures == []
    assert found.read + found.refused > 0


def test_faults_are_counted_and_come_again(monkeypatch):
    def refuse(folder):
        raise UserError("it is damaged: copy it again.")

    def fail(folder):
        raise KeyError("a field")

    def make(folder):
        write(folder / "a.json", {"b": 1})

    added = {"sound": Reader(make, print), "refuses": Reader(make, refuse)}
    monkeypatch.setattr(fuzz, "READERS", added | {"fails": Reader(make, fail)})
    counts = {name: fuzz.fuzz(name, seed=0, seconds=60, most=3) for name in fuzz.READERS}
    assert (counts["sound"].read, counts["refuses"].refused) == (3, 3)
    assert [number for number, _ in counts["fails"].failures] == [0, 1, 2]
    assert fuzz.try_case("fails", 0, 1) == counts["fails"].failures[1][1]
    assert "KeyError" in counts["fails"].failures[0][1]


@pytest.mark.parametrize("content", [b'{"a": [1, {"b": 2}]}', b"a line\nanother", b"\0" * 99])
def test_damage_hangs_on_the_seed_alone(content):
    damaged = [
        [mutate(content, random.Random(seed)) for seed in range(n, n + 20)] for n in (0, 0, 9)
    ]
    assert damaged[0] == damaged[1]
    assert damaged[0] != damaged[2]
    assert set(damaged[0]) != {content}
