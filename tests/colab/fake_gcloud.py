"""Stands in for gcloud: one slice of two hosts, whose commands run on this machine.

    fake_gcloud.py STATE install
    fake_gcloud.py STATE compute tpus GROUP VERB ...

Words, statuses and the order of states are those of gcloud 528.0.0. A host is a folder; what ssh
tells it is run by bash there, with programs of its own for Python and for the host's name. STATE
holds `slice`, the slice's state, `plan`, the states that it is to go through, one a question, and
`called`, all that was asked.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

HOSTS = 2
RUN = """#!/bin/bash
# A run that counts in its bucket up to a number, and ends as a training run does when it is asked.
# Where the plan has something happen at a number, it waits there until it has happened.
trap 'echo saved; exit 143' TERM
here=$(hostname)
echo "$@" >> "$BUCKET/started-$here"
while true; do
  count=$(cat "$BUCKET/count-$here" 2> /dev/null || echo 0)
  echo "update $count"
  [ -e "$BUCKET/broken" ] && exit 1
  hold=$(grep -o 'at=[0-9]*' "$BUCKET/../plan" 2> /dev/null | head -n 1)
  if [ -n "$hold" ] && ((count >= ${hold#at=})); then /bin/sleep 0.05; continue; fi
  ((count >= $(cat "$BUCKET/updates"))) && exit 0
  echo $((count + 1)) > "$BUCKET/count-$here"
  /bin/sleep 0.05
done
"""
PYTHON3 = """#!/bin/bash
[[ "$*" == "-m uv venv"* ]] || exit 0
mkdir -p .venv/bin && cp "$BUCKET/run" .venv/bin/python
"""
ENDED = ("SUSPENDED", "PREEMPTED", "ABSENT")


def main(state: Path, words: list[str]) -> int:
    with (state / "called").open("a") as called:
        called.write(" ".join(words) + "\n")
    if words[:1] == ["storage"]:
        return 0
    _, _, group, verb, *rest = words
    flags = dict(re.match("--([^=]*)=?(.*)", w, re.S).groups() for w in rest if w[:2] == "--")
    return {
        "create": create,
        "describe": describe,
        "delete": delete,
        "ssh": ssh,
        "scp": scp,
    }[verb](state, f"gcloud.compute.tpus.{group}.{verb}", flags, rest)


def error(command: str, sentence: str) -> int:
    print(f"ERROR: ({command}) {sentence}", file=sys.stderr)
    return 1


def absent(command: str) -> int:
    return error(command, "NOT_FOUND: Resource 'projects/p/locations/z/nodes/pod' was not found")


def now(state: Path) -> str:
    return (state / "slice").read_text()


def create(state: Path, command: str, flags: dict[str, str], rest: list[str]) -> int:
    if now(state) != "ABSENT":
        return error(command, "ALREADY_EXISTS: Resource 'pod' already exists")
    if (state / "full").exists():
        (state / "full").unlink()
        return error(command, 'Cloud TPU received a bad request. "no more capacity in the zone"')
    print("Create request issued for: [pod]", file=sys.stderr)
    queued = "queued-resources" in command
    become(state, "WAITING_FOR_RESOURCES" if queued else "READY")
    if queued:
        (state / "coming").write_text("PROVISIONING ACTIVE")
    return 0


def describe(state: Path, command: str, flags: dict[str, str], rest: list[str]) -> int:
    advance(state)
    if now(state) == "ABSENT":
        return absent(command)
    if now(state) == "UNREACHABLE":
        return error(command, "There was a problem refreshing your current auth tokens")
    print(now(state))
    return 0


def advance(state: Path) -> None:
    """Go on to the next state: of a slice that is coming, or of the plan once a run goes on."""
    plan = state / ("coming" if (state / "coming").exists() else "plan")
    steps = plan.read_text().split() if plan.exists() else []
    if not steps:
        return
    first, *others = steps
    if first.startswith("at="):  # wait until a host has counted so far
        counts = [int(f.read_text() or 0) for f in Path(os.environ["BUCKET"]).glob("count-*")]
        if min(counts, default=0) < int(first[3:]):
            return
        first, *others = others
    plan.write_text(" ".join(others))
    if not others:
        plan.unlink()
    become(state, first)


def become(state: Path, what: str) -> None:
    if what in ENDED:
        for file in state.glob("host-*/promptax/train.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for host in state.glob("host-*"):
            shutil.rmtree(host, ignore_errors=True)
    (state / "slice").write_text(what)


def delete(state: Path, command: str, flags: dict[str, str], rest: list[str]) -> int:
    if now(state) == "ABSENT":
        return absent(command)
    become(state, "ABSENT")
    return 0


def hosts(state: Path, flags: dict[str, str]) -> list[Path]:
    numbers = range(HOSTS) if flags["worker"] == "all" else [int(flags["worker"])]
    folders = [state / f"host-{number}" for number in numbers]
    for folder in folders:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        programs = {
            "python3": PYTHON3,
            "hostname": f"#!/bin/sh\necho t1v-n-0-w-{folder.name[-1]}\n",
        }
        for name, text in programs.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
    return folders


def ssh(state: Path, command: str, flags: dict[str, str], rest: list[str]) -> int:
    if now(state) not in ("ACTIVE", "READY"):
        return absent(command)
    folders = hosts(state, flags)
    say = f"Attempting to SSH into 1 nodes with a total of {len(folders)} workers."
    print(f"Using ssh batch size of 1. {say}", file=sys.stderr)
    statuses = []
    for number, folder in enumerate(folders):
        print(f"SSH: Attempting to connect to worker {number}...", file=sys.stderr)
        path = f"{folder}/bin:/usr/bin:/bin"
        told = ["bash", "-c", flags["command"]]
        done = subprocess.run(told, cwd=folder, env={**os.environ, "PATH": path}, timeout=60)
        statuses.append(done.returncode)
        if done.returncode:
            say = f"failed with exit status {done.returncode}. Continuing."
            print(f"##### Command execution on worker {number} {say}", file=sys.stderr)
    return next(filter(None, statuses), 0)


def scp(state: Path, command: str, flags: dict[str, str], rest: list[str]) -> int:
    if now(state) not in ("ACTIVE", "READY"):
        return absent(command)
    source, _, target = rest[0], *rest[1].partition(":")[1:]
    for folder in hosts(state, flags):
        shutil.copy(source, folder / target)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
