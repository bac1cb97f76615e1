"""Every method in several processes: the numbers of one process, and one of them writes."""

import os
import tempfile
from pathlib import Path

import pytest

from benchmarks.small_runs import RUNS, Cluster
from tests.pods.compare import same_numbers
from tests.pods.conftest import logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

NOBODY = 65534


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process as another user")
@pytest.mark.parametrize("name", RUNS)
def test_the_first_process_alone_writes(name, alone):
    """The others belong to a user who may write nowhere but into a cache of his own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, other = Path(temporary), Path(temporary, "other")
        folder.chmod(0o755)
        other.mkdir()
        os.chown(other, NOBODY, NOBODY)
        (folder / "run").mkdir()
        (folder / "run").chmod(0o777)  # So that what is written there shows its owner.
        cluster = Cluster(RUNS[name], folder, folder / "shared", 2, user=NOBODY)
        assert cluster.finish() == [0, 0], logs(folder)
        assert {path.stat().st_uid for path in (folder / "run").rglob("*")} == {0}
        same_numbers(folder, alone(name))
