"""Runs that are ended from outside, and what the same command makes of them."""

import random
import resource
import signal
import time

import pytest

SLOW = "sleep=0.05"  # A run of a second or two, so that a signal finds it at work.


def wait_for_checkpoint(process, workdir) -> None:
    deadline = time.monotonic() + 120
    while not list((workdir / "checkpoints").glob("0*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.multiprocess
def test_sigkill_at_a_random_step(runs, undisturbed, same_run, tmp_path):
    seed = random.randrange(1000)
    delay = random.Random(seed).uniform(0.0, 1.0)
    print(f"killed {delay:.3f} s after the first checkpoint (seed {seed})")
    process = runs.start(tmp_path, SLOW)
    wait_for_checkpoint(process, tmp_path)
    time.sleep(delay)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "result.json").exists()
    runs.train(tmp_path, SLOW)
    same_run(tmp_path, undisturbed)


@pytest.mark.multiprocess
def test_sigterm_saves_and_exits(runs, undisturbed, same_run, tmp_path, capsys):
    arg = f"{SLOW},save_every=0"
    process = runs.start(tmp_path, arg)
    metrics = tmp_path / "metrics.jsonl"
    while not metrics.exists() or not metrics.stat().st_size:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    process.terminate()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM, err
    (saved,) = (tmp_path / "checkpoints").iterdir()
    step = int(saved.name)
    assert 0 < step < 30
    assert f"SIGTERM: step {step} is saved; run again to go on." in out
    capsys.readouterr()
    runs.train(tmp_path, arg)
    assert f"at step {step} of 30." in capsys.readouterr().out
    same_run(tmp_path, undisturbed)


@pytest.mark.multiprocess
def test_a_full_disk_is_one_sentence(runs, undisturbed, same_run, tmp_path):
    process = runs.start(tmp_path)
    # Larger than the config and the metrics, smaller than a checkpoint.
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))
    out, err = process.communicate(timeout=240)
    assert process.returncode == 1, (out, err)
    (told,) = (line for line in err.splitlines() if line.startswith("error"))
    assert "File too large" in told and told.endswith("make room and run the same command again.")
    assert "Traceback" not in err
    runs.train(tmp_path)
    same_run(tmp_path, undisturbed)


def test_control_c_saves_and_exits(runs, tmp_path, monkeypatch):
    batch = runs.toy.Indices.batch

    def press(self, step):
        if step == 12:
            signal.raise_signal(signal.SIGINT)
        return batch(self, step)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(runs.toy.Indices, "batch", press)
    with pytest.raises(SystemExit) as caught:
        runs.train(tmp_path, "save_every=0")
    assert caught.value.code == 130
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["00000015"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_second_control_c_stops_at_once(runs, tmp_path, monkeypatch):
    def press(self, step):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runs.toy.Indices, "batch", press)
    # A test run in the background inherits an ignored SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            runs.train(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
