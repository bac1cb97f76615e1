"""Work folders with links, pipes, other programs' files, other runs, or a run that goes on."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from common.errors import UserError
from common.files import remove_partial
from common.paths import require_plain, within
from common.training import lock
from common.training.growing import GrowingFiles
from common.training.results import make_result, names_not_finite, write_evaluation, write_result
from common.training.types import Evaluation
from common.training.workdir import (
    EVENTS,
    LOOP_WRITES,
    changed_fields,
    check_workdir,
    has_update,
    is_among,
    write_config,
)
from common.training.writers import MetricWriter, read_evaluations

ROOT = Path(__file__).parents[2]
WRITES = ("tokens", "samples.png")


def make_config(**fields) -> ConfigDict:
    ours = {"data": "d", "model": "m", "seed": 1, "updates": 9, "keep": 2}
    return ConfigDict(ours | {"generate": {"prompt": "a {}", "steps": 25}} | fields)


@pytest.fixture
def run(tmp_path) -> Path:
    """A run that has saved an update."""
    workdir = tmp_path / "run"
    write_config(workdir, make_config())
    (workdir / "checkpoints" / "00000005" / "state").mkdir(parents=True)
    return workdir


@pytest.fixture
def victim(tmp_path) -> Path:
    """A folder with a file that nobody may change."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("mine")
    yield folder
    assert [(x.name, x.read_text()) for x in folder.iterdir()] == [("file", "mine")]


def replace(path: Path, target: Path) -> None:
    if path.is_dir():
        path.rename(path.with_name(f"{path.name}.away"))
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


# ---- Links and pipes

PLACES = [
    *LOOP_WRITES,
    *WRITES,
    "checkpoints/00000005",
    "checkpoints/00000005/state/x",
    "pictures/0005",
]


@pytest.mark.parametrize("place", [*PLACES, "events.out.tfevents.1.a"])
@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_a_link_where_a_run_writes_is_refused(run, victim, place, kind):
    replace(run / place, {"file": victim / "file", "folder": victim}.get(kind, victim / "new"))
    with pytest.raises(UserError, match=rf"{re.escape(place)} is a link, which is not followed"):
        check_workdir(run, make_config(), (), WRITES)


@pytest.mark.parametrize("place", ["metrics.jsonl", "result.json", "pictures/x", "tokens", "eval"])
def test_a_pipe_where_a_run_writes_is_refused(run, place):
    (run / place).parent.mkdir(exist_ok=True)
    os.mkfifo(run / place)
    with pytest.raises(UserError, match=rf"{place} is neither a file nor a folder: remove it"):
        check_workdir(run, make_config(), (), WRITES)


def test_links_that_no_run_writes_to_are_left_alone(run, victim):
    (run / "photos").symlink_to(victim)
    (run / "wandb").mkdir()
    (run / "wandb" / "latest-run").symlink_to(victim)
    assert check_workdir(run, make_config(), (), WRITES) is None
    assert EVENTS not in LOOP_WRITES


def test_the_folder_itself_may_be_a_link(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert check_workdir(tmp_path / "link", make_config()) is None


@pytest.mark.parametrize("place", ["metrics.jsonl", "pictures", "pictures/00000003"])
def test_metrics_and_pictures_follow_no_link(run, victim, place):
    replace(run / place, victim / "file" if place == "metrics.jsonl" else victim)
    with pytest.raises(UserError, match="is a link"), MetricWriter(run) as writer:
        writer.pictures(3, {"black": np.zeros((2, 2, 3), np.uint8)})


@pytest.mark.parametrize(
    "write",
    [
        lambda run: write_config(run, make_config()),
        lambda run: write_result(run, {"metrics": {}}),
    ],
)
def test_config_and_result_follow_no_link(run, victim, write):
    for name in ("config.json", "result.json"):
        replace(run / name, victim / "file")
    with pytest.raises(UserError, match="is a link"):
        write(run)


def test_a_growing_file_that_two_folders_share_is_made_ones_own(run, tmp_path):
    (run / "metrics.jsonl").write_text("one\n")
    os.link(run / "metrics.jsonl", tmp_path / "copy")
    with GrowingFiles(run).fetch("metrics.jsonl").open("a") as file:
        file.write("two\n")
    assert (tmp_path / "copy").read_text() == "one\n"
    assert (run / "metrics.jsonl").read_text() == "one\ntwo\n"


def test_clearing_up_follows_no_link(run, victim):
    (run / "tokens").symlink_to(victim)
    (victim / ".a.partial-x").write_text("")
    (run / ".b.partial-x").symlink_to(victim / "file")
    remove_partial(run)
    (victim / ".a.partial-x").unlink()  # It is still there.


def test_places_below_links(run, victim):
    (run / "link").symlink_to(victim)
    with pytest.raises(UserError, match="link is a link"):
        within(run, "link", "deep", "file")
    with pytest.raises(UserError, match="link is a link"):
        require_plain(run, below=True)
    require_plain(run / "absent", below=True)
    require_plain(run / "config.json" / "below a file")


# ---- Other programs' files and other runs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"architectures": ["CLIPModel"], "model_type": "clip"}', "has no field 'data', so it is"),
        ("{}", "so it is not a run's: give a new --workdir"),
        ("[]", "holds no JSON object"),
        ("{", "cannot be read as JSON"),
        ('{"data": 1, "data": 2}', "data"),
        ('{"seed": NaN}', "NaN"),
        ("\xff\xfe", "is not text in UTF-8"),
        ("[" * 100_000, "cannot be read as JSON|nest"),
    ],
)
def test_a_config_of_something_else_is_kept(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=message):
        check_workdir(tmp_path, make_config())
    assert (tmp_path / "config.json").read_text(encoding="latin-1") == text


@pytest.mark.parametrize(
    "result", ['{"metrics": {}}', '{"updates": "9"}', '{"updates": true}', "[]", "{", '{"updates":']
)
def test_a_result_that_says_nothing_is_refused(run, result):
    (run / "result.json").write_text(result)
    with pytest.raises(UserError, match=r"result\.json"):
        check_workdir(run, make_config())


@pytest.mark.parametrize("left", ["", "00000005.orbax-checkpoint-tmp-1", "README"])
def test_without_an_update_any_config_is_taken(tmp_path, left):
    write_config(tmp_path, make_config())
    (tmp_path / "checkpoints" / left).mkdir(parents=True)
    assert not has_update(tmp_path)
    assert check_workdir(tmp_path, make_config(seed=2, data="other", extra=1)) is None


def test_with_an_update_it_is_not(run):
    assert has_update(run)
    with pytest.raises(UserError, match="holds a run with seed=1, but now seed=2"):
        check_workdir(run, make_config(seed=2))


def test_what_evaluation_alone_reads_may_change(run):
    config = make_config(generate={"prompt": "a {{}", "steps": 0})
    with pytest.raises(UserError, match=r"generate\.prompt='a \{\}', but now"):
        check_workdir(run, config)
    assert check_workdir(run, config, ("generate.",)) is None
    assert changed_fields(run, config) == {"generate.prompt": "a {{}", "generate.steps": 0}
    with pytest.raises(UserError, match="seed=1"):
        check_workdir(run, make_config(seed=2), ("generate.",))


@pytest.mark.parametrize(
    ("name", "among"),
    [("generate.steps", True), ("generate", False), ("generated", False), ("pictures", True)],
)
def test_fields_are_named_alone_or_by_group(name, among):
    assert is_among(name, ("generate.", "pictures")) == among


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "3",
        '"a"',
        '{"loss": 1}',
        '{"step": "x"}',
        "\xff",
        "[" * 100_000,
        '{"step": null}',
    ],
)
def test_a_damaged_line_of_metrics_is_named(tmp_path, line):
    lines = f'{{"step": 1, "eval/a": 0.5}}\n{line}\n'
    (tmp_path / "metrics.jsonl").write_text(lines, encoding="latin-1")
    with pytest.raises(UserError, match=r"line 2 of .*metrics\.jsonl cannot be read"):
        read_evaluations(tmp_path, 9, 10**6)


# ---- Two at once


def test_the_second_is_refused_and_has_written_nothing(run, monkeypatch):
    with lock.locked(run):
        before = {x: x.read_bytes() for x in run.rglob("*") if x.is_file()}
        for second in (lock.locked(run).__enter__, lambda: lock.require_free(run)):
            with pytest.raises(
                UserError, match=rf"in use: process {os.getpid()} on .* is training"
            ):
                second()
        assert {x: x.read_bytes() for x in run.rglob("*") if x.is_file()} == before
    lock.require_free(run)
    with lock.locked(run):
        pass


def test_a_lock_that_a_killed_run_left_blocks_nobody(run):
    hold = "import sys, os, pathlib; from common.training.lock import locked\n"
    hold += "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(run)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(lock.WorkdirInUseError, match=f"process {process.pid} on"):
        lock.require_free(run)
    process.kill()
    process.communicate()
    lock.require_free(run)
    with lock.locked(run):
        pass


def test_the_folder_is_looked_at_again_once_it_is_held(run):
    def check():
        with pytest.raises(lock.WorkdirInUseError):
            lock.require_free(run)
        raise UserError("it has changed")

    with pytest.raises(UserError, match="it has changed"), lock.locked(run, check):
        pytest.fail("held what was refused")
    lock.require_free(run)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_lock_that_is_not_a_file(run, victim, kind):
    path = run / lock.NAME
    {
        "link": lambda: path.symlink_to(victim / "file"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    with pytest.raises((UserError, IsADirectoryError)), lock.locked(run):
        pass


def test_an_owner_of_odd_letters_is_shown_without_them(run):
    (run / lock.NAME).write_text("\x1b[2Jme" * 50)
    handle = lock._take(run, os.O_RDONLY)
    try:
        with pytest.raises(lock.WorkdirInUseError) as caught:
            lock.require_free(run)
    finally:
        os.close(handle)
    assert "\x1b" not in str(caught.value) and len(str(caught.value)) < 800


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.1)
    monkeypatch.setattr(lock, "PATIENCE", 0.5)


def test_a_bucket_has_one_run_at_a_time(storage, quick):
    workdir = storage / "occupied"
    with lock.locked(workdir):
        with (
            pytest.raises(lock.WorkdirInUseError, match=f"process {os.getpid()}"),
            lock.locked(workdir),
        ):
            pass
        assert (workdir / lock.NAME).exists()
    assert not (workdir / lock.NAME).exists()


@pytest.mark.parametrize("left", ['{"run": "a", "owner": "b", "count": 3}', "{", "[]", ""])
def test_what_a_killed_run_left_in_a_bucket_blocks_nobody(storage, quick, left):
    workdir = storage / "killed"
    (workdir / lock.NAME).write_text(left)
    with lock.locked(workdir):
        assert json.loads((workdir / lock.NAME).read_text())["owner"].startswith("process")


# ---- Numbers that are not finite

ODD = {"accuracy": float("nan"), "rows": [1.0, np.float32(np.inf), {"x": np.float64("-inf")}]}


def test_numbers_that_are_not_finite_are_null_and_told(tmp_path, capsys):
    write_evaluation(tmp_path / "eval" / "a.json", ODD)
    found = json.loads((tmp_path / "eval" / "a.json").read_text())
    assert found == {"accuracy": None, "rows": [1.0, None, {"x": None}]}
    told = "null in the result: accuracy, rows[1], rows[2].x."
    assert told in capsys.readouterr().out


def test_results_hold_them_as_null(tmp_path):
    result = make_result("toy", make_config(), Evaluation(ODD), 9, 1.0)
    write_result(tmp_path, result)
    assert json.loads((tmp_path / "result.json").read_text())["metrics"]["accuracy"] is None


@pytest.mark.parametrize("value", [1, 1.5, True, None, "nan", [], {}, np.float32(2), [None, "inf"]])
def test_what_is_finite_or_no_number_is_not_told(value):
    assert names_not_finite({"a": value}) == []


def test_many_are_told_in_one_line(tmp_path, capsys):
    write_evaluation(tmp_path / "a.json", {f"m{i}": float("nan") for i in range(30)})
    told = capsys.readouterr().out
    assert told.endswith("m0, m1, m2, m3, m4 and 25 more.\n") and told.count("\n") == 1
