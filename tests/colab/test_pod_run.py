"""The pod script against a stand-in for gcloud, whose hosts run what they are told."""

import re
import signal
import subprocess
import sys
import time

import pytest

from tests.colab import fake_gcloud
from tests.colab.books import COLAB

SCRIPT = COLAB / "tpu_pod.sh"
NAMED = ("--name=pod", "--zone=us-west4-a", "--type=v5litepod-16")
WORKDIR = "--workdir=gs://mine/runs/a"
UPDATES = 30


class Pod:
    """A slice behind the stand-in, in a folder."""

    def __init__(self, folder, direct):
        self.folder, self.bucket = folder, folder / "bucket"
        self.direct = ("--direct",) if direct else ()
        self.tools = folder / "tools"
        for path in (self.bucket, self.tools):
            path.mkdir()
        self.write("slice", "READY" if direct else "ACTIVE")
        self.write("bucket/run", fake_gcloud.RUN, 0o755)
        self.write("bucket/updates", UPDATES)
        program = f'exec {sys.executable} -I -S {fake_gcloud.__file__} {folder} "$@"'
        self.write("tools/gcloud", f"#!/bin/sh\n{program}\n", 0o755)
        self.write("tools/sleep", "#!/bin/sh\nexec /bin/sleep 0.05\n", 0o755)
        pack = 'for w; do case "$w" in --output=*) tar -czf "${w#*=}" -T /dev/null;; esac; done'
        self.write("tools/git", f"#!/bin/sh\n{pack}\n", 0o755)

    def write(self, name, text, mode=0o644):
        (self.folder / name).write_text(str(text))
        (self.folder / name).chmod(mode)

    def command(self, step, *options):
        return ["bash", SCRIPT, step, *NAMED, WORKDIR, *self.direct, *options]

    def __call__(self, step, *options, timeout=120):
        command = self.command(step, *options)
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    def called(self, verb):
        lines = (self.folder / "called").read_text().splitlines()
        return [line for line in lines if re.match(rf"compute tpus \S+ {verb}\b", line)]

    def starts(self):
        return [len(f.read_text().splitlines()) for f in sorted(self.bucket.glob("started-*"))]

    def counts(self):
        return [int(f.read_text() or 0) for f in sorted(self.bucket.glob("count-*"))]

    def wait_for(self, count):
        wait_until(lambda: min(self.counts(), default=0) >= count)

    def wait_for_logs(self, end):
        """A run counts before it tells, so what a log shows is waited for in the log."""
        logs = [
            self.folder / f"host-{host}/promptax/train.log" for host in range(fake_gcloud.HOSTS)
        ]
        wait_until(lambda: all(log.exists() and log.read_text().endswith(end) for log in logs))


def wait_until(happened):
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def pod(tmp_path, monkeypatch, request):
    made = Pod(tmp_path, getattr(request, "param", False))
    monkeypatch.setenv("PATH", str(made.tools), prepend=":")
    monkeypatch.setenv("BUCKET", str(made.bucket))
    yield made
    for file in tmp_path.glob("host-*/promptax/train.pid"):
        subprocess.run(["kill", "-9", file.read_text().strip()], capture_output=True)


QUEUED, DIRECT = pytest.param(False, id="queued"), pytest.param(True, id="direct")


def installed(pod):
    done = pod("install")
    assert done.returncode == 0, done.stderr
    return pod


def test_run_starts_once_and_comes_back(pod):
    installed(pod).write("bucket/updates", 10**6)
    assert pod("run").returncode == 0
    pod.wait_for(3)
    second = pod("run")
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith(
        "error: pod has a run that goes on and is left alone"
    )
    assert pod.starts() == [1, 1]


def test_a_run_on_one_host_alone_is_enough_to_refuse_another(pod):
    installed(pod).write("bucket/updates", 10**6)
    assert pod("run").returncode == 0
    pod.wait_for(3)
    victim = (pod.folder / "host-1/promptax/train.pid").read_text().strip()
    subprocess.run(["kill", "-9", victim], check=True)
    time.sleep(0.3)
    assert pod("run").returncode == 1
    assert pod.starts() == [1, 1]


def test_stop_lets_the_run_save_and_another_may_follow(pod):
    installed(pod).write("bucket/updates", 10**6)
    pod("run")
    pod.wait_for(3)
    done = pod("stop")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("stopped\n") == 2
    assert (pod.folder / "host-0/promptax/train.log").read_text().endswith("saved\n")
    assert pod("stop").stdout.count("no run goes on\n") == 2
    assert pod("run").returncode == 0
    pod.wait_for(max(pod.counts()) + 1)
    assert pod.starts() == [2, 2]


@pytest.mark.parametrize("step", ["watch", "follow"])
def test_each_line_of_a_log_is_behind_its_host(pod, step):
    installed(pod)
    pod("run")
    pod.wait_for_logs(f"update {UPDATES}\n")
    done = pod(step)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()[1:]
    for host in range(fake_gcloud.HOSTS):
        assert f"t1v-n-0-w-{host}: update {UPDATES}" in lines
    assert all(re.fullmatch(r"t1v-n-0-w-[01]: update \d+", line) for line in lines)


def test_follow_ends_with_the_run(pod):
    installed(pod)
    pod("run")
    assert f"t1v-n-0-w-0: update {UPDATES}" in pod("follow").stdout.splitlines()


@pytest.mark.parametrize(
    ("pod", "plan"),
    [
        pytest.param(False, "at=5 SUSPENDING SUSPENDED", id="queued"),
        pytest.param(True, "at=5 PREEMPTED", id="direct"),
        pytest.param(True, "at=5 REPAIRING TERMINATED", id="maintenance"),
    ],
    indirect=["pod"],
)
def test_retry_goes_on_after_a_preemption_until_the_run_is_finished(pod, plan):
    installed(pod).write("plan", plan)
    done = pod("run", "--retry", "--", "--network=mine", "--internal-ip")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("pod: the run is finished\n")
    assert pod.counts() == [UPDATES, UPDATES]
    assert pod.starts() == [2, 2]
    [created] = pod.called("create")
    assert "--network=mine" in created and "--internal-ip" not in created
    assert len(pod.called("delete")) == 1
    assert len(pod.called("scp")) == 2
    first, *_ = (pod.bucket / "started-t1v-n-0-w-0").read_text().splitlines()
    assert first.split()[-1] == WORKDIR
    assert {*(pod.bucket / "started-t1v-n-0-w-1").read_text().splitlines()} == {first}


@pytest.mark.parametrize("pod", [DIRECT], indirect=True)
def test_retry_asks_again_where_there_is_no_capacity(pod):
    installed(pod).write("plan", "at=5 PREEMPTED")
    pod.write("full", "")
    done = pod("run", "--retry=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(pod.called("create")) == 2 and len(pod.called("delete")) == 1


def test_retry_ends_when_it_has_tried_so_often(pod):
    installed(pod).write("plan", "at=5 SUSPENDED at=9 SUSPENDED")
    pod.write("bucket/updates", 10**6)
    done = pod("run", "--retry=1")
    assert done.returncode == 1
    assert "started again 1 times" in done.stderr.splitlines()[-1]
    assert pod.starts() == [2, 2]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [("at=5 ABSENT", "was deleted"), ("at=5 STOPPED", "was stopped")],
)
def test_retry_makes_nothing_again_that_a_person_took_away(pod, plan, sentence):
    installed(pod).write("plan", plan)
    pod.write("bucket/updates", 10**6)
    done = pod("run", "--retry")
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]
    assert pod.called("create") == []


def test_retry_starts_no_failing_run_again(pod):
    installed(pod).write("bucket/broken", "")
    done = pod("run", "--retry")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: the run failed on a slice that is there")
    assert pod.starts() == [1, 1] and pod.called("create") == []


def test_retry_ends_with_a_run_that_is_stopped(pod):
    installed(pod).write("bucket/updates", 10**6)
    with subprocess.Popen(
        pod.command("run", "--retry"), stderr=subprocess.PIPE, text=True
    ) as going:
        pod.wait_for(3)
        assert pod("stop").returncode == 0
        _, errors = going.communicate(timeout=60)
    assert going.returncode == 1
    assert errors.splitlines()[-1] == "error: the run was stopped, so it is not started again."


def test_retry_stays_with_its_run_after_it_was_interrupted(pod):
    installed(pod)
    pod.write("bucket/updates", 60)
    with subprocess.Popen(pod.command("run", "--retry")) as going:
        pod.wait_for(3)
        going.send_signal(signal.SIGTERM)
    other = pod("run", "--retry", "--module=aape_jax.train")
    assert other.returncode == 1 and "pod has a run that goes on" in other.stderr.splitlines()[-1]
    done = pod("run", "--retry")
    assert done.returncode == 0, done.stderr
    assert "staying with it" in done.stdout
    assert pod.starts() == [1, 1]


def test_retry_outlives_a_silence_and_ends_when_it_lasts(pod):
    installed(pod).write("plan", "at=5 UNREACHABLE UNREACHABLE UNREACHABLE ACTIVE")
    assert pod("run", "--retry").returncode == 0
    pod.write("bucket/updates", 10**6)
    pod.write("plan", "at=5 UNREACHABLE")
    done = pod("run", "--retry")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "has not answered 20 times" in last and "auth tokens" in last
    assert pod.starts() == [2, 2]


@pytest.mark.parametrize("pod", [QUEUED, DIRECT], indirect=True)
def test_again_makes_a_slice_again(pod):
    pod.write("slice", "PREEMPTED" if pod.direct else "SUSPENDED")
    done = pod("again")
    assert done.returncode == 0, done.stdout + done.stderr
    pod.wait_for(UPDATES)
    assert pod.starts() == [1, 1]


def test_a_step_that_fails_ends_again(pod):
    pod.write("slice", "SUSPENDED")
    pod.write("tools/git", "#!/bin/sh\nexit 128\n", 0o755)
    done = pod("again")
    assert done.returncode == 1
    assert pod.called("scp") == [] and pod.called("ssh") == []


def test_run_before_install_says_what_is_missing(pod):
    done = pod("run")
    assert done.returncode == 1
    assert "installed (install)?" in done.stderr.splitlines()[-1]
