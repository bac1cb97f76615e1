"""Odd flags and folders given to every command."""

import os
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

import numpy as np
import pytest

import common
from common.config import to_json
from common.packages import PACKAGES
from common.pictures import write_png
from configs import aape, mcti, protext
from tests.hostile.commands import CommandResult, contents, run

ROOT = Path(__file__).parents[2]
CONFIGS = {name: ROOT / "configs" / f"{name}.py" for name in ("mcti", "protext", "aape")}
# With data of which there is little, so that whatever is read is read at once.
TRAIN = {
    "mcti_jax.train": f"--config={CONFIGS['mcti']}:data=folder:photos",
    "protext_jax.train": f"--config={CONFIGS['protext']}:prompts.source=texts.json",
    "aape_jax.train": (
        f"--config={CONFIGS['aape']}:data=folder:photos,prompts.source=json:texts.json"
    ),
    "common.commands.train": f"--config={CONFIGS['mcti']}:data=folder:photos",
}
# What reads a finished run, with what else it wants to be given.
READERS = {
    "mcti_jax.evaluate": (),
    "mcti_jax.generate": ("--prompt=a photo of <dog>", "--out=new.png"),
    "mcti_jax.export": ("--out=new",),
    "mcti_jax.classify": ("--images=photos", "--out=new.csv"),
    "protext_jax.classify": ("--images=photos", "--out=new.csv"),
    "aape_jax.classify": ("--images=photos", "--out=new.csv"),
    "protext_jax.evaluate": (),
    "protext_jax.export": ("--out=new.safetensors",),
    "protext_jax.interpret": (),
    "aape_jax.evaluate": (),
    "aape_jax.export": ("--out=new",),
    "common.commands.evaluate": ("--method=mcti_jax:MCTI",),
    "common.commands.export": ("--method=mcti_jax:MCTI", "--out=new"),
}
OTHERS = (
    "common.aot",
    "common.aot.cost",
    "common.convert",
    "common.describe",
    "common.fields",
    "common.publish",
    "common.report",
    "common.split",
    "tools.pocket.compare",
    "tools.pocket.pretrain",
)
COMMANDS = (*TRAIN, *READERS, *OTHERS)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, with folders that are not runs of the command in it."""
    place = tmp_path / "place"
    for name in ("empty", "half", "foreign", "listed", "mcti", "protext", "aape"):
        (place / name).mkdir(parents=True)
    for number in range(8):
        photo = place / "photos" / "ab"[number % 2] / f"{number}.png"
        write_png(photo, np.full((8, 8, 3), number, np.uint8))
    (place / "texts.json").write_text('{"a": ["an a"], "b": ["a b"], "c": ["a c"]}')
    (place / "file").write_text("mine")
    (place / "half" / "config.json").write_text('{"data": "pocket:na')
    (place / "foreign" / "config.json").write_text('{"name": "somebody else\'s"}')
    (place / "listed" / "config.json").write_text("[1, 2]")
    for name, module in (("mcti", mcti), ("protext", protext), ("aape", aape)):
        (place / name / "config.json").write_text(to_json(module.defaults()))
    (place / "piped").mkdir()
    os.mkfifo(place / "piped" / "config.json")
    os.mkfifo(place / "fifo")
    (place / "circle").symlink_to("circle")
    monkeypatch.chdir(place)
    # Matplotlib writes into the home on its own.
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    monkeypatch.setattr("common.training.loop.make_call", began)
    return place


def began(*_: object) -> None:
    raise AssertionError("training began")


def refused(place: Path, name: str, *arguments: str, told: str = "") -> None:
    """The command ends with status 2 and one sentence, and leaves everything as it was."""
    before = contents(place)
    ended = run(name, *arguments)
    assert ended.status == 2, (ended, arguments)
    lines = ended.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) > 15, ended.err
    assert lines[0].isprintable() and len(lines[0]) < 1500
    assert told in lines[0], lines[0]
    assert contents(place) == before


def test_every_command_is_here():
    found = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
        for package in (*PACKAGES, "tools")
        for file in (ROOT / package).rglob("*.py")
        if "\n    run_command(main" in file.read_text("utf-8")
    }
    assert found == {*COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_version(name, place):
    before = contents(place)
    assert run(name, "--version") == CommandResult(0, f"promptax {common.__version__}\n", "")
    assert contents(place) == before


UNKNOWN = ["--nosuch=1", "--nosuch", "--workdri=x", "--config_=x", "--=1", "--no", "-x"]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", UNKNOWN)
def test_unknown_flags(name, flag, place):
    refused(place, name, flag)


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_given(name, place):
    refused(place, name)


@pytest.mark.parametrize("name", [x for x in COMMANDS if x in TRAIN or x in READERS])
@pytest.mark.parametrize("word", ["x", "-", "\x1b[2J"])
def test_words_that_are_no_flags(name, word, place):
    given = [TRAIN[name], "--workdir=new"] if name in TRAIN else []
    refused(place, name, *given, *READERS.get(name, ()), word)


WORKDIRS = {
    "empty text": "",
    "blank": " ",
    "no folder": "gone",
    "empty folder": "empty",
    "file": "file",
    "below a file": "file/run",
    "FIFO": "fifo",
    "config is a FIFO": "piped",
    "links in a circle": "circle",
    "half a config": "half",
    "foreign config": "foreign",
    "a list for a config": "listed",
    "too long": "a" * 5000,
    "nobody's home": "~nobody-of-that-name/run",
    "zero byte": "a\0b",
    "half a character": "a\udc80b",
    "other service": "s3://mine/run",
    "shouted": "GS://mine/run",
    "no bucket": "gs:///run",
    "control characters": "\x1b[2J\u202egone",
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("workdir", WORKDIRS.values(), ids=WORKDIRS)
def test_folders_that_are_no_runs(name, workdir, place):
    refused(place, name, f"--workdir={workdir}", *READERS[name])


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("other", ["mcti", "protext", "aape"])
def test_runs_of_another_method_or_without_anything_learned(name, other, place):
    refused(place, name, f"--workdir={other}", *READERS[name])


NO_TRAINING = {name: x for name, x in WORKDIRS.items() if name not in ("no folder", "empty folder")}
del NO_TRAINING["control characters"]  # A folder may be called so.


@pytest.mark.parametrize("name", TRAIN)
@pytest.mark.parametrize("workdir", NO_TRAINING.values(), ids=NO_TRAINING)
def test_folders_that_cannot_be_trained_in(name, workdir, place):
    refused(place, name, TRAIN[name], f"--workdir={workdir}")


CONFIG_FLAGS = {
    "no such file": ("--config=gone.py", "gone.py"),
    "empty": ("--config=", ""),
    "folder": ("--config=empty", ""),
    "no Python": ("--config=file", ""),
    "too long": ("--config=" + "a" * 5000, ""),
    "zero byte": ("--config=a\0b.py", ""),
    "unknown field": ("{config}:nosuch=1", "nosuch"),
    "field without value": ("{config}:data", "data"),
    "number in words": ("{config}:seed=first", "first"),
    "half a seed": ("{config}:seed=0.5", "0.5"),
    "unknown data": ("{config}:data=nosuch:x", "nosuch"),
    "unknown pocket data": ("{config}:data=pocket:nosuch", "nosuch"),
    "no such folder": ("{config}:data=folder:gone", "gone"),
    "data without end": ("{config}:data=folder:" + "a" * 5000, ""),
    "nobody's data": ("{config}:data=folder:~nobody-of-that-name", "nobody"),
    "data in a file": ("{config}:data=folder:file", "file"),
    "data in a circle": ("{config}:data=folder:circle", "circle"),
    "unknown model": ("{config}:model=gone/gone", "gone/gone"),
    "model is a file": ("{config}:model=file", "file"),
    "model is an empty folder": ("{config}:model=empty", "empty"),
    "model is not a path": ("{config}:model=a\0b", ""),
    "group for a field": ("{config}:mesh=1", "mesh"),
    "mesh of no devices": ("{config}:mesh.data=0", ""),
    "more devices than there are": ("{config}:mesh.data=4096", "4096"),
}


@pytest.mark.parametrize("name", TRAIN)
@pytest.mark.parametrize(("flag", "told"), CONFIG_FLAGS.values(), ids=CONFIG_FLAGS)
def test_configs_that_cannot_be_trained(name, flag, told, place):
    config = TRAIN[name].partition(":")[0] if ":data" in flag else TRAIN[name]
    given = flag.replace("{config}:", f"{config}," if ":" in config else f"{config}:")
    refused(place, name, given, "--workdir=new", told=told)


MORE = {
    "generate without a prompt": ("mcti_jax.generate", "--workdir=mcti", "--out=x.png"),
    "generate into no picture": (*("mcti_jax.generate", "--workdir=mcti"), "--prompt=a", "--out=x"),
    "generate into a folder": ("mcti_jax.generate", "--workdir=mcti", "--prompt=a", "--out=empty"),
    "no pictures": (
        "mcti_jax.generate",
        *("--workdir=mcti", "--prompt=a", "--out=x.png", "--num=0"),
    ),
    "half a picture": (
        "mcti_jax.generate",
        *("--workdir=mcti", "--prompt=a", "--out=x.png"),
        "--num=1.5",
    ),
    "no steps": ("mcti_jax.generate", "--workdir=mcti", "--prompt=a", "--out=x.png", "--steps=0"),
    "unknown sampler": (
        "mcti_jax.generate",
        "--workdir=mcti",
        "--prompt=a",
        "--out=x.png",
        "--sampler=x",
    ),
    "unknown format": ("mcti_jax.export", "--workdir=mcti", "--out=x", "--format=x"),
    "export into a file": ("mcti_jax.export", "--workdir=mcti", "--out=file"),
    "export below a file": ("protext_jax.export", "--workdir=protext", "--out=file/x.safetensors"),
    "export into a folder": ("protext_jax.export", "--workdir=protext", "--out=empty"),
    "export into a FIFO": ("protext_jax.export", "--workdir=protext", "--out=fifo"),
    "run in words": ("protext_jax.evaluate", "--workdir=protext", "--run=first"),
    "run before the first": ("protext_jax.evaluate", "--workdir=protext", "--run=-1"),
    "no words": ("protext_jax.interpret", "--workdir=protext", "--words=0"),
    "report without a place": ("common.report", "mcti"),
    "report without runs": ("common.report", "--out=x.md"),
    "report of no run": ("common.report", "mcti", "--out=x.md"),
    "report of a file": ("common.report", "file", "--out=x.md"),
    "report of a FIFO": ("common.report", "fifo", "--out=x.md"),
    "report into a folder": ("common.report", "mcti", "--out=empty"),
    "report below a file": ("common.report", "mcti", "--out=file/x.md"),
    "report into a FIFO": ("common.report", "mcti", "--out=fifo"),
    "report into a path without end": ("common.report", "mcti", f"--out={'a' * 5000}"),
    "page of no run": ("common.report", "--html=mcti"),
    "page of nothing": ("common.report", "--html="),
    "page of nobody": ("common.report", "--html=~nobody-of-that-name"),
    "fields of nothing": ("common.fields", "gone.py"),
    "fields of a folder": ("common.fields", "empty"),
    "fields of a FIFO": ("common.fields", "fifo"),
    "fields of no Python": ("common.fields", "half/config.json"),
    "fields of no config": ("common.fields", "foreign/config.json"),
    "update of nothing": ("common.fields", "--update", "gone.md"),
    "update of a FIFO": ("common.fields", "--update", "fifo"),
    "convert without OUT": ("common.convert", "empty"),
    "convert nothing": ("common.convert", "gone/gone", "new"),
    "convert an empty folder": ("common.convert", "empty", "new"),
    "convert into a file": ("common.convert", "empty", "file"),
    "convert below a file": ("common.convert", "empty", "file/new"),
    "convert over something": ("common.convert", "empty", "mcti"),
    "convert into a path without end": ("common.convert", "empty", "a" * 5000),
    "convert into a bucket": ("common.convert", "empty", "gs://mine/new"),
    "convert several models": ("common.convert", "pocket", "new"),
    "compile without a config": ("common.aot", "--topology=v5e:2x4"),
    "compile for nothing": ("common.aot", f"--config={CONFIGS['mcti']}"),
    "compile for an unknown chip": (
        "common.aot",
        f"--config={CONFIGS['mcti']}",
        "--topology=v9:1x1",
    ),
    "compile for no shape": ("common.aot", f"--config={CONFIGS['mcti']}", "--topology=v5e"),
    "report into a folder of compiling": (
        "common.aot",
        f"--config={CONFIGS['mcti']}",
        "--topology=v5e:1x1",
        "--report=empty",
    ),
    "cost of nothing": ("common.aot.cost", "--utilisation=0.3"),
    "cost without use": ("common.aot.cost", "foreign/config.json"),
    "cost of no report": ("common.aot.cost", "foreign/config.json", "--utilisation=0.3"),
    "cost of half a file": ("common.aot.cost", "half/config.json", "--utilisation=0.3"),
    "cost of a FIFO": ("common.aot.cost", "fifo", "--utilisation=0.3"),
    "use in words": ("common.aot.cost", "foreign/config.json", "--utilisation=much"),
    "use of everything and more": ("common.aot.cost", "foreign/config.json", "--utilisation=2"),
    "compare nothing": ("tools.pocket.compare",),
    "compare no models": ("tools.pocket.compare", "--models=empty"),
    "compare a file": ("tools.pocket.compare", "--models=file"),
    "keep what cannot be kept": (
        "tools.pocket.pretrain",
        "--out=new",
        "--start=mcti",
        "--keep=judge",
    ),
    "keep nothing's": ("tools.pocket.pretrain", "--out=new", "--keep=vae"),
    "pretrain into a file": ("tools.pocket.pretrain", "--out=file"),
    "pretrain below a file": ("tools.pocket.pretrain", "--out=file/x"),
    "pretrain beside a file": ("tools.pocket.pretrain", "--out=new", "--work=file"),
    "pretrain something else": ("tools.pocket.pretrain", "--out=new", "--only=x"),
    "pretrain with a word for a seed": ("tools.pocket.pretrain", "--out=new", "--seed=x"),
}


@pytest.mark.parametrize("command", MORE.values(), ids=MORE)
def test_each_commands_own_flags(command, place):
    refused(place, *command)


@pytest.mark.parametrize(
    "command",
    [
        ("mcti_jax.export", "--workdir=mcti", "--format=classes", "--out=x.safetensors"),
        ("mcti_jax.export", "--workdir=mcti", "--out=x.pt"),
        ("aape_jax.export", "--workdir=aape", "--out=x.npz"),
        ("protext_jax.export", "--workdir=protext", "--out=x.npz"),
    ],
    ids=" ".join,
)
def test_what_is_written_ends_as_it_is(command, place):
    refused(place, *command, told="ends in" if "protext" not in command[0] else "must end in")


@pytest.mark.parametrize("out", ["empty", "file/x.md", "fifo", "x.html"])
def test_a_report_without_a_place_is_refused_before_its_runs_are_read(out, place):
    refused(place, "common.report", "mcti", f"--out={out}", told="--out")


def test_no_checked_code_is_kept_for_processes_of_their_own(monkeypatch):
    """They could not run it, for what checks the types is in the tests' process."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    kept = Path(cache_from_source(find_spec("common.fields").origin))
    kept.unlink(missing_ok=True)
    assert run("common.fields", "gone.py").status == 2
    assert not kept.exists() or b"jaxtyping" not in kept.read_bytes()
