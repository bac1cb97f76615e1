"""A run that other devices take over, and a run whose disk is full."""

import signal
import subprocess
import time

import pytest

from benchmarks.cluster import Cluster
from benchmarks.small_runs import RUNS, taken_away
from tests.pods.compare import same_numbers
from tests.pods.conftest import logs

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def stop_behind_a_checkpoint(cluster: Cluster, folder) -> None:
    while not list((folder / "run" / "checkpoints").glob("0*")):
        assert cluster.running(), logs(folder)
        time.sleep(0.005)
    cluster.signal(signal.SIGTERM)
    statuses = cluster.finish()
    assert statuses == [128 + signal.SIGTERM] * len(statuses), logs(folder)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((1, 8, {}), (1, 1, {})),
        ((1, 1, {}), (1, 8, {})),
        ((1, 4, {"mesh.data": 4}), (1, 4, {"mesh.data": 2, "mesh.model": 2})),
        ((2, 2, {}), (1, 3, {})),
    ],
    ids=["8 to 1", "1 to 8", "4x1 to 2x2", "2 processes to 1"],
)
@pytest.mark.parametrize("name", RUNS)
def test_other_devices_take_over(name, before, after, alone, shared, tmp_path):
    processes, devices, mesh = before
    cluster = Cluster(RUNS[name], tmp_path, shared, processes, devices, **mesh)
    stop_behind_a_checkpoint(cluster, tmp_path)
    processes, devices, mesh = after
    cluster = Cluster(RUNS[name], tmp_path, shared, processes, devices, **mesh)
    assert cluster.finish() == [0], logs(tmp_path)
    assert "Resuming" in (tmp_path / "process-0.log").read_text()
    assert not (tmp_path / "run" / "unreadable").exists()
    same_numbers(tmp_path, alone(name))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own, and what makes it larger."""
    mounted = tmp_path / "disk"
    mounted.mkdir()

    def mount(options: str) -> int:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mounted)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    if mount("size=120k"):
        pytest.skip("only root can mount a file system")
    yield mounted, lambda: mount("remount,size=100m")
    subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.parametrize("name", RUNS)
def test_a_full_disk_is_one_sentence_and_the_rerun_ends_alike(
    name, alone, shared, small_disk, tmp_path
):
    folder, enlarge = small_disk
    fields = {"cache": tmp_path / "cache"}
    cluster = Cluster(RUNS[name], folder, shared, 1, 4, logs=tmp_path, **fields)
    assert cluster.finish() == [1], logs(tmp_path)
    said = (tmp_path / "process-0.log").read_text().splitlines()
    assert any(line.startswith("error: No space left on device") for line in said)
    enlarge()
    cluster = Cluster(RUNS[name], folder, shared, 1, 4, logs=tmp_path, **fields)
    assert cluster.finish() == [0], logs(tmp_path)
    assert taken_away(folder / "run") == taken_away(alone(name) / "run")
