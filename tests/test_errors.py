"""How commands end."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

COMMAND = """
from common.errors import UserError, run_command

class Failed(UserError):
    exit_status = 1

def main(argv):
    {body}

run_command(main, positional={positional})
"""


def run(body: str, *arguments: str, positional: bool = False) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", COMMAND.format(body=body, positional=positional), *arguments],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


pytestmark = pytest.mark.multiprocess


# What leads to each of the exit statuses that docs/commands.md lists.
STATUSES = {
    0: "print('done')",
    1: "raise Failed('diverged')",
    2: "raise UserError('no folder x')",
    130: "raise KeyboardInterrupt",
    143: "raise SystemExit(128 + 15)  # what the training loop does with SIGTERM",
}


@pytest.mark.parametrize("status", STATUSES)
def test_exit_statuses(status):
    done = run(STATUSES[status])
    assert done.returncode == status and "Traceback" not in done.stderr


def test_exit_statuses_are_those_of_the_docs():
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert [int(number) for number in re.findall(r"^\| (\d+) ", text, re.MULTILINE)] == [*STATUSES]


def test_a_mistake_is_one_sentence_and_status_2():
    done = run("raise UserError('no folder x;\\n  give another')")
    assert (done.returncode, done.stderr) == (2, "error: no folder x; give another\n")


def test_a_failure_says_its_own_status():
    done = run("raise Failed('diverged')")
    assert (done.returncode, done.stderr) == (1, "error: diverged\n")


def test_a_defect_keeps_its_traceback():
    done = run("raise ValueError('ours')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: ours" in done.stderr


def test_libraries_are_quiet_unless_asked():
    body = "from absl import logging; logging.info('detail')"
    assert run(body).stderr == ""
    assert "detail" in run(body, "--verbosity=0").stderr


def test_arguments_that_are_no_flags():
    refused = run("print(argv[1:])", "a")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert run("print(argv[1:])", "a", positional=True).stdout == "['a']\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("OSError(28, 'No space left on device', 'w/x')", "No space left on device (w/x)"),
        ("OSError(122, 'Disk quota exceeded')", "Disk quota exceeded"),
        ("ValueError('RESOURCE_EXHAUSTED: File too large [source=...]')", "File too large"),
    ],
)
def test_a_full_disk_is_one_sentence_and_status_1(error, sentence):
    done = run(f"raise RuntimeError('cannot save') from {error}")
    told = f"error: {sentence}: make room and run the same command again.\n"
    assert (done.returncode, done.stderr) == (1, told)


ON_CPU = "import jax; jax.config.update('jax_platforms', 'cpu');"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (f"{ON_CPU} jax.numpy.zeros(2**45)", "Out of memory allocating 140737488355328 bytes"),
        (
            "import numpy; numpy.zeros(2**50)",
            "Unable to allocate 8.00 PiB for an array with shape (1125899906842624,) and data type "
            "float64",
        ),
        ("raise MemoryError", "out of memory"),
        (
            "raise ValueError('RESOURCE_EXHAUSTED: Error loading program: Cannot reserve 9G.')",
            "Error loading program: Cannot reserve 9G",
        ),
        (
            r"raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory.\nPeak buffers:\n Buffer 1')",
            "Out of memory",
        ),
    ],
)
def test_too_little_memory_is_one_sentence_and_status_1(body, sentence):
    done = run(body)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {sentence}: end what else uses this memory, or take")
    assert done.stderr.count("\n") == 1


BUSY = """
import ctypes
lock = ctypes.create_string_buffer(64)
libc = ctypes.CDLL(None)
libc.pthread_mutex_lock(lock)
print("busy", flush=True)
libc.pthread_mutex_lock(lock)  # No signal ends it.
"""


@pytest.fixture
def heard():
    """Ctrl-C reaches what a test starts, also where a shell started pytest in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_answered_while_a_library_works(heard):
    body = BUSY.strip().replace("\n", "\n    ")
    command = [sys.executable, "-c", COMMAND.format(body=body, positional=False)]
    process = subprocess.Popen(
        command,
        env={"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "busy\n"
    time.sleep(0.5)  # From the word to the deed.
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping after this call; again to stop now.\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted\n")


def test_ctrl_c_is_not_raised_into_an_import(heard, tmp_path):
    """A library that starts must not see an exception that comes out of nowhere."""
    (tmp_path / "starting.py").write_text(
        "import signal\ntry:\n    signal.raise_signal(signal.SIGINT)\nfinally:\n    print('seen')\n"
    )
    done = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import starting")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_the_end_may_come_while_a_line_is_written():
    script = """
import io, signal, sys
from common.interrupts import end
class Raw(io.RawIOBase):
    writable = lambda self: True
    write = lambda self, line: end(signal.SIGINT)
sys.stdout = io.TextIOWrapper(io.BufferedWriter(Raw()))
print("a line", flush=True)
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


@pytest.mark.parametrize("module", ["mcti_jax.train", "common.report"])
def test_ctrl_c_while_importing_has_no_traceback(module, heard):
    process = subprocess.Popen(
        [sys.executable, "-v", "-m", module], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "import 'common.interrupts'" in line:
            break
    for line in process.stderr:
        if line.startswith("import 'jax"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err and "interrupted" in err


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("PermissionError(13, 'x', '/a/b')", "Permission denied (/a/b)"),
        ("IsADirectoryError(21, 'x', '/a')", "Is a directory (/a)"),
        ("OSError(36, 'x', 'a')", "File name too long (a)"),
        ("OSError(40, 'x', 'a')", "Too many levels of symbolic links (a)"),
        ("OSError(30, 'x', 'a')", "Read-only file system (a)"),
        ("NotADirectoryError(20, 'x', 'a')", "Not a directory (a)"),
    ],
)
def test_a_place_that_cannot_be_is_one_sentence_and_status_1(error, sentence):
    done = run(f"raise {error}")
    told = f"error: {sentence}: give another place, or change this one, and run it again.\n"
    assert (done.returncode, done.stderr) == (1, told)
