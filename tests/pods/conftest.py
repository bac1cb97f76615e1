from pathlib import Path

import pytest

from benchmarks.cluster import Cluster
from benchmarks.small_runs import RUNS


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="session")
def alone(shared, tmp_path_factory):
    """The folder of a method's run in one process with four devices; each is run once."""
    finished: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in finished:
            finished[name] = tmp_path_factory.mktemp(name)
            statuses = Cluster(RUNS[name], finished[name], shared, 1, devices=4).finish()
            assert statuses == [0], logs(finished[name])
        return finished[name]

    return folder


def logs(folder: Path) -> str:
    return "\n".join(path.read_text()[-9000:] for path in sorted(folder.glob("*.log")))
