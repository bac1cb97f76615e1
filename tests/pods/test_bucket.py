"""Runs of every method whose folder lies in a bucket: what is on a disk otherwise is there."""

import signal
import time

import gcsfs
import pytest

from benchmarks.cluster import Cluster
from benchmarks.small_runs import RUNS, taken_away
from tests.pods.conftest import logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def fetched(workdir, folder):
    """A copy of the run's folder, with what other processes wrote."""
    filesystem = gcsfs.GCSFileSystem(skip_instance_cache=True)
    filesystem.get(str(workdir), str(folder), recursive=True)
    return folder


def has_checkpoint(workdir) -> bool:
    """Whether one is complete; in a bucket an object that comes last says so."""
    filesystem = gcsfs.GCSFileSystem(skip_instance_cache=True)
    return bool(filesystem.glob(f"{workdir}/checkpoints/*/commit_success.txt"))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("name", RUNS)
def test_a_killed_run_ends_as_one_on_a_disk(name, processes, storage, shared, tmp_path):
    disk = Cluster(RUNS[name], tmp_path / "disk", shared, processes)
    assert disk.finish() == [0] * processes, logs(tmp_path / "disk")

    own = tmp_path / "bucket"
    workdir = storage / f"{name}-{processes}"
    cluster = Cluster(RUNS[name], own, shared, processes, workdir=workdir)
    while cluster.running() and not has_checkpoint(workdir):
        time.sleep(0.05)
    cluster.signal(signal.SIGKILL)
    assert cluster.finish() == [-signal.SIGKILL] * processes
    again = Cluster(RUNS[name], own, shared, processes, workdir=workdir)
    assert again.finish() == [0] * processes, logs(own)
    assert "Resuming gs://" in logs(own)
    theirs, ours = taken_away(tmp_path / "disk/run"), taken_away(fetched(workdir, own / "run"))
    assert theirs == ours
