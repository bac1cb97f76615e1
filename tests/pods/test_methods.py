"""Every method in several processes: the numbers of one process, and one of them writes."""

import pytest

from benchmarks.cluster import CHANGE, Cluster
from benchmarks.small_runs import RUNS
from tests.pods.compare import same_numbers
from tests.pods.conftest import logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("name", RUNS)
def test_several_processes_give_the_numbers_of_one(name, processes, alone, shared, tmp_path):
    cluster = Cluster(RUNS[name], tmp_path, shared, processes)
    assert cluster.finish() == [0] * processes, logs(tmp_path)
    same_numbers(tmp_path, alone(name))
    speaking = [path for path in tmp_path.glob("*.log") if "eval" in path.read_text()]
    assert [path.name for path in speaking] == ["process-0.log"]
    cached = list((tmp_path / "cache").iterdir())
    assert len(cached) == len(list((alone(name) / "cache").iterdir()))


@pytest.mark.parametrize("name", RUNS)
def test_the_first_process_alone_writes(name, shared, tmp_path):
    """What Python itself writes; Orbax's arrays are whole ones, which the first process writes."""
    cluster = Cluster(RUNS[name], tmp_path, shared, 2, watched=True)
    assert cluster.finish() == [0, 0], logs(tmp_path)
    first, second = (
        [
            line
            for line in (tmp_path / f"process-{n}.log").read_text().splitlines()
            if CHANGE in line
        ]
        for n in range(2)
    )
    assert any("result" in line for line in first)
    assert second == []
