"""Two processes share a pass: no overlap, no loss, the same bytes, and they fail together."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from benchmarks.cluster import ROOT, free_port
from tests.pods import shared_pass
from tests.pods.shared_pass import COUNT, PART

pytestmark = pytest.mark.multiprocess
PARTS = -(-COUNT // PART)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The folder of a pass in one process, and its result."""
    folder = tmp_path_factory.mktemp("one")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
    code = "import sys, pathlib, tests.pods.shared_pass as s; "
    code += "print(s.run(pathlib.Path(sys.argv[1]))[0])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return folder, done.stdout.split()[-1]


@pytest.fixture(scope="module")
def two(one, tmp_path_factory):
    """What two processes tell; each has some parts of the second pass on a disk of its own."""
    folder = tmp_path_factory.mktemp("two")
    files = sorted(one[0].iterdir())
    for number, mine in enumerate((files[:3], files[2:4])):
        (folder / f"own-{number}").mkdir()
        for file in mine:
            shutil.copy(file, folder / f"own-{number}")
    processes = []
    address = f"localhost:{free_port()}"
    for number in range(2):
        own = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
        own |= {"JAX_PROCESS_ID": str(number), "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}
        processes.append(
            subprocess.Popen(
                [sys.executable, shared_pass.__file__, str(folder)],
                env=os.environ | own,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    return folder, [json.loads(out.splitlines()[-1]) for out, _ in told]


def test_each_part_is_computed_by_one_process(two):
    folder, told = two
    first, second = (set(each["shared"][1]) for each in told)
    assert not first & second
    assert first | second == set(range(COUNT))
    assert {row // PART for row in second} == {1, 3, 5}
    assert len(list((folder / "shared").iterdir())) == PARTS


def test_both_hold_the_bytes_of_one_process(one, two):
    for told in two[1]:
        assert told["shared"][0] == one[1]
        assert told["own"][0] == one[1]


def test_what_any_of_them_has_is_not_computed(two):
    folder, told = two
    computed = [row for each in told for row in each["own"][1]]
    assert len({row // PART for row in computed}) == PARTS - 4
    # Nothing but a process's own share is written to its disk.
    assert sum(len(list((folder / f"own-{n}").iterdir())) for n in range(2)) == PARTS + 1


def test_where_one_fails_both_do(two):
    (first, second) = two[1]
    assert first["error"] == "row 20 is broken."
    assert second["error"] == "Encoding: process 0 failed; its own output says why."
