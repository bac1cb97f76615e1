"""The script that drives a slice: its commands are shown, checked, and never run here."""

import functools
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from common.aot.cost import SLICES
from tests.colab.books import COLAB

SCRIPT = COLAB / "tpu_pod.sh"
SLICE = ("--name=pod", "--zone=us-west4-a", "--type=v5litepod-16", "--bucket=mine")
STEPS = (
    *("create", "state", "wait", "install", "check", "run", "watch", "follow", "stop"),
    *("fetch", "delete", "again"),
)
CHOICES = ((), ("--direct",), ("--spot", "--project=ours"))
BUCKET = (*SLICE[:-1], "--workdir=gs://mine/runs/a")
LOGIN = ("--internal-ip", "--ssh-key-file=k")
OURS = ("--network=net", "--scopes=all", *LOGIN, "--ssh-flag=-v", "--scp-flag=-C", "--account=me")

# What `gcloud compute tpus GROUP VERB --help` of gcloud 528.0.0 lists, of what could serve here.
WIDE = {"--account", "--format", "--project", "--quiet", "--zone"}
CREATE = {"--accelerator-type", "--async", "--network", "--scopes", "--service-account", "--spot"}
SSH = {"--worker", "--internal-ip", "--ssh-key-file"}
FLAGS = {
    "queued-resources create": {*CREATE, "--node-id", "--runtime-version", "--valid-until-time"},
    "queued-resources describe": set(),
    "queued-resources delete": {"--async", "--force"},
    "tpu-vm create": {*CREATE, "--version"},
    "tpu-vm describe": set(),
    "tpu-vm delete": {"--async"},
    "tpu-vm ssh": {*SSH, "--command", "--ssh-flag"},
    "tpu-vm scp": {*SSH, "--recurse", "--compress", "--scp-flag"},
}
REQUIRED = {
    "queued-resources create": {"--accelerator-type", "--node-id", "--runtime-version", "--zone"},
    "tpu-vm create": {"--accelerator-type", "--version", "--zone"},
}


# Options that would mean something else to gcloud, a shell or a file system.
HOSTILE = [
    ("type=v6e-8 16", "'v6e-8 16' is unknown"),
    ("type= v6e-8", "is unknown"),
    ("type=v6e-8;id", "is unknown"),
    ("type=v6e-", "is unknown"),
    ("type=v6e-08", "has no such size"),
    ("type=v6e--8", "is unknown"),
    ("workdir=runs/../../..", "no name that begins"),
    ("workdir=runs/a/../../..", "no name that begins"),
    ("workdir=runs/..", "no name that begins"),
    ("workdir=runs/.", "no name that begins"),
    ("workdir=runs/.ssh", "no name that begins"),
    ("workdir=runs/-rf", "no name that begins"),
    ("workdir=runs//a", "no name that begins"),
    ("workdir=runs/", "no name that begins"),
    ("workdir=runs", "runs/NAME"),
    ("workdir=/", "no name that begins"),
    ("workdir=/mnt/../etc", "no name that begins"),
    ("workdir=~/runs", "no name that begins"),
    ("workdir=runs/a b", "letters, digits"),
    ("workdir=runs/a;id", "letters, digits"),
    ("workdir=runs/$(id)", "letters, digits"),
    ("workdir=runs/é", "letters, digits"),
    ("workdir=", "letters, digits"),
    ("bucket=gs://mine", "without gs://"),
    ("bucket=GS://mine", "without gs://"),
    ("bucket=gs:///a", "without gs://"),
    ("bucket=-o", "without gs://"),
    ("bucket=..", "without gs://"),
    ("bucket=mine/a", "without gs://"),
    ("bucket=Mine", "without gs://"),
    ("bucket=mine;id", "without gs://"),
    ("bucket=a", "without gs://"),
    ("name=pod;id", "small letters"),
    ("name=-pod", "small letters"),
    ("name=pod\n", "small letters"),
    ("name=pód", "small letters"),
    ("zone=us-west4-a --quiet", "such as us-west4-a"),
    ("zone=", "such as us-west4-a"),
    ("project=--quiet", "the project's id"),
    ("project=a b", "the project's id"),
    ("module=os; import os", "a module such as"),
    ("module=-c", "a module such as"),
    ("module=..x", "a module such as"),
    ("module=", "a module such as"),
    ("config=", "a config file"),
    ("config=a\nid", "a config file"),
    ("spot=yes", "not an option"),
    ("", "not an option"),
]


NO_FOLDERS = ["gs:", "gs://", "gs://mine", "gs://mine/", "gs://mine/..", "gs://mine/a/../b"]
NO_FOLDERS += ["gs://Mine/a", "gs://mine/a b", "gs://mine/$(id)", "gs://mine//a", "gs:/mine/a"]
NO_FLAGS = ["net", "-x", "--", "--A", "--network net", "--;id"]
DECIDED = ["--command=id", "--worker=0", "--async", "--node-id=x", "--node-count=2", "--version=x"]


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", SCRIPT, *arguments], capture_output=True, text=True)


def commands(*arguments: str, behind: tuple[str, ...] = ()) -> list[list[str]]:
    """The words of each command that a dry run shows, with flags of gcloud behind the others."""
    done = run(*arguments, "--dry-run", *(("--", *behind) if behind else ()))
    assert done.returncode == 0, done.stderr
    return [shlex.split(line) for line in done.stdout.splitlines()]


@functools.cache
def of_gcloud() -> tuple[tuple[str, ...], ...]:
    found = [c for step in STEPS for choice in CHOICES for c in commands(step, *SLICE, *choice)]
    for options in (("--direct",), ()):
        found += commands("run", *BUCKET, "--retry", *options, behind=OURS)
    return tuple(dict.fromkeys(tuple(words) for words in found if words[0] == "gcloud"))


def test_every_flag_is_gcloud_s():
    seen = set()
    for words in of_gcloud():
        assert words[1:3] == ("compute", "tpus")
        verb = " ".join(words[3:5])
        flags = {word.partition("=")[0] for word in words[5:] if word.startswith("-")}
        assert flags <= FLAGS[verb] | WIDE, verb
        assert REQUIRED.get(verb, {"--zone"}) <= flags, verb
        seen.add(verb)
    assert seen == set(FLAGS)


@pytest.mark.notebook
def test_gcloud_itself_accepts_every_command(tmp_path):
    if shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    file = tmp_path / "commands.json"
    shown = [*of_gcloud(), commands("fetch", *BUCKET, behind=OURS)[-1]]
    lines = [*map(shlex.join, shown), "gcloud compute tpus tpu-vm list --zone=a --colour=red"]
    file.write_text(json.dumps([{"command_string": line} for line in lines]))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={file}"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path / "config")},
    )
    verdicts = json.loads(done.stdout)
    assert len(verdicts) == len(lines)
    *ours, wrong = verdicts
    assert [verdict["error_message"] for verdict in ours if not verdict["success"]] == []
    assert "--colour" in wrong["error_message"]


def test_what_the_hosts_are_told_is_bash():
    told = {word.partition("=")[2] for c in of_gcloud() for word in c if word[:9] == "--command"}
    told |= {w.partition("=")[2] for w in commands("run", *BUCKET)[0] if w[:9] == "--command"}
    # install in two ways, check, ask and run with each of two work directories, watch, follow, stop
    assert len(told) == 10
    for text in told:
        subprocess.run(["bash", "-n", "-c", text], check=True)


def test_a_config_arrives_as_it_was_given(tmp_path):
    config = "configs/mcti.py:init_word=it's,grid=(1,2),data=folder:a b"
    [_, [*_, command, _, _]] = commands("run", *SLICE, f"--config={config}")
    inner = re.search(r"nohup (.*)> train\.log", command).group(1)
    assert f"--config={config}" in shlex.split(inner)


@pytest.mark.parametrize("slice", SLICES)
def test_every_slice_can_be_asked_for(slice):
    [words] = commands("create", "--name=pod", "--zone=us-west4-a", f"--type={slice}")
    assert f"--accelerator-type={slice}" in words


def test_flags_behind_go_to_the_commands_that_take_them():
    shown = commands("run", *BUCKET, "--retry", behind=OURS)
    of = {" ".join(words[3:5]): words for words in shown if words[0] == "gcloud"}
    for verb, words in of.items():
        assert "--account=me" in words
        assert ("--network=net" in words) == ("--scopes=all" in words) == verb.endswith("create")
        assert all((flag in words) == verb.startswith("tpu-vm") for flag in LOGIN)
        assert ("--ssh-flag=-v" in words) == verb.endswith("ssh")
        assert ("--scp-flag=-C" in words) == verb.endswith("scp")
    assert len(of) == 5


def test_a_work_directory_in_a_bucket_is_installed_for_and_fetched_from():
    installed = " ".join(commands("install", *BUCKET)[-1])
    assert "'.[tpu,gcs]'" in installed and "gcsfuse" not in installed
    *_, fetched = commands("fetch", *BUCKET, "--project=ours", behind=OURS)
    assert fetched[:5] == ["gcloud", "storage", "cp", "gs://mine/runs/a", "runs"]
    assert fetched[5:] == ["--recursive", "--project=ours", "--account=me"]


@pytest.mark.parametrize("behind", [(), ("--preemptible",), ("--provisioning-model=SPOT",)])
@pytest.mark.parametrize("step", ["create", "run", "again"])
def test_what_may_be_taken_away_and_has_no_bucket_is_warned_of(step, behind):
    asked = ("--dry-run", "--", *behind) if behind else ("--spot", "--dry-run")
    one = ("--name=pod", "--zone=us-west4-a")
    done = run(step, *one, *asked)
    assert done.returncode == 0
    assert done.stderr.startswith("warning: pod may be taken away, and its checkpoints with it")
    for options in (("--bucket=mine",), ("--workdir=gs://mine/a",), ("--workdir=/mnt/a",)):
        assert run(step, *one, *options, *asked).stderr == ""
    assert run("watch", *one, *asked).stderr == ""
    assert run(step, *one, "--dry-run").stderr == ""


def test_again_is_the_steps_one_after_the_other():
    parts = ("state", "delete", "create", "wait", "install", "run")
    assert commands("again", *SLICE) == [c for part in parts for c in commands(part, *SLICE)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "''"),
        (("fly", *SLICE), "'fly'"),
        (("create", "--zone=us-west4-a"), "--name"),
        (("create", "--name=Pod", "--zone=us-west4-a"), "'Pod'"),
        (("create", "--name=pod", "--zone=here"), "'here'"),
        (("create", *SLICE, "--type=v5litepod-2"), "1 4 8 16"),
        (("create", *SLICE, "--type=v9-8"), "'v9-8'"),
        (("create", *SLICE, "--fast"), "'--fast'"),
        (("run", *SLICE, "--bucket=gs://mine"), "gs://"),
        (("run", *SLICE, "--bucket="), "--bucket=BUCKET"),
        (("run", *SLICE, "--workdir=here"), "runs/NAME"),
        (("run", *SLICE, "--workdir=gs://mine/a"), "leave one of them out"),
        (("run", *SLICE, "--retry=x"), "'x'"),
        (("run", *SLICE, "--retry=-1"), "'-1'"),
        (("run", *SLICE, "--retry=1000"), "'1000'"),
        (("run", *SLICE, "--retry=a[$(id)]"), "'a[$(id)]'"),
        (("watch", *SLICE, "--retry"), "belongs to the step run"),
        (("run", "--name=pod", "--zone=us-west4-a", "--retry"), "outlives its hosts"),
        *((("run", *BUCKET[:-1], f"--workdir={x}"), "gs://BUCKET/FOLDER") for x in NO_FOLDERS),
        *((("create", *SLICE, "--", flag), repr(flag)) for flag in NO_FLAGS),
        *((("create", *SLICE, "--", flag), "in front of --") for flag in ("--spot", "--zone=x")),
        *((("create", *SLICE, "--", flag), "leave it out") for flag in DECIDED),
        *((("run", *SLICE, f"--{option}"), named) for option, named in HOSTILE),
    ],
)
def test_bad_arguments_end_in_one_sentence(arguments, named):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ") and named in line


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Returns a function that puts another program in gcloud's place."""

    def pretend(state: str) -> None:
        gcloud = tmp_path / "gcloud"
        gcloud.write_text(f"#!/bin/sh\n[ {state} = broken ] && exit 3\necho {state}\n")
        gcloud.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return pretend


@pytest.mark.parametrize(
    ("state", "status"), [("ACTIVE", 0), ("SUSPENDED", 1), ("FAILED", 1), ("broken", 3)]
)
def test_wait_ends_as_the_request_does(answer, state, status):
    answer(state)
    done = run("wait", *SLICE)
    assert done.returncode == status, done.stderr


def test_again_leaves_a_slice_alone_that_is_there(answer):
    answer("ACTIVE")
    done = run("again", *SLICE)
    assert done.returncode == 1
    assert "delete" not in done.stdout


def test_shellcheck_has_nothing_to_say():
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(["shellcheck", *COLAB.glob("*.sh")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_refusal_shows_no_control_character():
    done = run("create", *SLICE, "--zone=\x1b[2J\x07here")
    assert done.returncode == 2
    assert done.stderr == "error: --zone='?[2J?here': give a zone such as us-west4-a.\n"


HARMLESS = [
    "it's",
    "a b",
    "$(id)",
    "`id`",
    "a;id",
    "a&&id",
    "$HOME",
    "*",
    "\\",
    '"',
    "é",
    "-x",
    "#",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_a_setting_reaches_the_hosts_shell_as_one_word(text, tmp_path):
    config = f"configs/mcti.py:init_word={text}"
    [_, [*_, command, _, _]] = commands("run", *SLICE, f"--config={config}")
    told = command.partition("=")[2].partition("&& (setsid nohup ")[2].partition(">> train.log")[0]
    show = f'show() {{ printf "%s\\n" "$@"; }}; show {told}'
    done = subprocess.run(["bash", "-c", show], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[3:] == [f"--config={config}", "--workdir=runs/pod"]


@pytest.fixture
def recorder(tmp_path, monkeypatch):
    """Puts programs in the place of gcloud and git that write down how they were called."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("gcloud", "git"):
        text = f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/called\n'
        text += 'for word; do case "$word" in --output=*) echo new > "${word#*=}";; esac; done\n'
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    return tmp_path


def test_the_archive_follows_no_link_and_is_removed(recorder):
    victim = recorder / "victim"
    victim.write_text("mine")
    (recorder / "shared" / "promptax.tar.gz").symlink_to(victim)
    done = run("install", *SLICE)
    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "mine"
    assert [x.name for x in (recorder / "shared").iterdir()] == ["promptax.tar.gz"]
    places = re.findall(r"\S+/promptax\.\w{6}/promptax\.tar\.gz", (recorder / "called").read_text())
    assert len(places) == 2 and len({x.removeprefix("--output=") for x in places}) == 1


def test_the_folder_of_the_archive_may_have_any_name(recorder, monkeypatch):
    odd = recorder / "it's $(id) here"
    odd.mkdir()
    monkeypatch.setenv("TMPDIR", str(odd))
    assert run("install", *SLICE).returncode == 0
    assert [*odd.iterdir()] == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_fetching_overwrites_nothing(kind, recorder, monkeypatch):
    monkeypatch.chdir(recorder)
    place = recorder / "runs" / "pod"
    place.parent.mkdir()
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to("nowhere")
    done = run("fetch", *SLICE)
    assert done.returncode == 2 and "'runs/pod' is here already and is left alone" in done.stderr
    assert not (recorder / "called").exists()
