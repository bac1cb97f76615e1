"""Two processes that form a cluster, four devices each."""

import json
import shutil
import signal
import socket
import time

import numpy as np
import pytest

pytestmark = pytest.mark.multiprocess


def start_cluster(runs, *workdirs, arg: str = ""):
    """Start both processes in one folder, or each in one of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    return [
        runs.start(
            workdirs[number % len(workdirs)],
            arg,
            XLA_FLAGS="--xla_force_host_platform_device_count=4",
            JAX_COORDINATOR_ADDRESS=address,
            JAX_NUM_PROCESSES="2",
            JAX_PROCESS_ID=str(number),
        )
        for number in range(2)
    ]


def finish(processes, status: int) -> list[str]:
    """Return what both said, to whichever stream."""
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [status] * 2, told
    return [out + error for out, error in told]


def test_two_processes_give_the_same_numbers_and_one_writes(runs, undisturbed, tmp_path):
    first, second = finish(start_cluster(runs, tmp_path), 0)
    assert "30/30" in first
    assert "toy" not in second
    tokens, expected = (np.load(w / "tokens.npy") for w in (tmp_path, undisturbed))
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-5)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [10, 10, 20, 20, 30, 30]
    assert len(list(tmp_path.glob("events.*"))) == 1
    assert json.loads((tmp_path / "result.json").read_text())["devices"] == "8 x cpu"


def test_sigterm_to_one_process_stops_both_at_one_step(runs, undisturbed, tmp_path):
    arg = "sleep=0.05,save_every=0"
    processes = start_cluster(runs, tmp_path, arg=arg)
    metrics = tmp_path / "metrics.jsonl"
    while not metrics.exists() or not metrics.stat().st_size:
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.01)
    processes[1].terminate()
    finish(processes, 128 + signal.SIGTERM)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1
    # One process with eight devices takes over what two had begun.
    runs.train(tmp_path, arg)
    tokens, expected = (np.load(w / "tokens.npy") for w in (tmp_path, undisturbed))
    np.testing.assert_allclose(tokens, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lost", ["", "tokens.npy", "result.json"])
def test_processes_that_see_other_files_are_refused(runs, undisturbed, tmp_path, lost):
    """One would find a finished run and leave, and the other would wait for it for ever."""
    other = tmp_path / "other"
    if lost:
        shutil.copytree(undisturbed, other)
        (other / lost).unlink()
    for said in finish(start_cluster(runs, undisturbed, other), 2):
        assert "do not see the same files in" in said
