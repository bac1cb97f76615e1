"""Captions written by two processes are those of one."""

import pytest

from benchmarks.cluster import Cluster
from benchmarks.small_runs import CAPTIONS
from tests.pods.compare import same_numbers
from tests.pods.conftest import logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_two_processes_write_the_captions_of_one(shared, tmp_path):
    for processes, devices in ((1, 4), (2, 2)):
        folder = tmp_path / str(processes)
        cluster = Cluster(CAPTIONS, folder, shared, processes, devices=devices)
        assert cluster.finish() == [0] * processes, logs(folder)
    same_numbers(tmp_path / "2", tmp_path / "1")
    first, second = (tmp_path / n / "run/captions.json" for n in "12")
    assert first.read_bytes() == second.read_bytes()
