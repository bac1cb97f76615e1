"""Commands run inside of the tests' own process, and what they leave behind."""

import contextlib
import hashlib
import io
import os
import runpy
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from absl import flags

from common import old_spellings


@dataclass(frozen=True)
class CommandResult:
    """How a command ended.

    Attributes:
      status: What a shell sees.
      out: What it printed.
      err: What it printed to stderr.
    """

    status: int
    out: str
    err: str


def run(name: str, *arguments: str) -> CommandResult:
    """Run `python -m NAME ARGUMENTS`; its flags are gone afterwards, so any command may follow."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    old_spellings.tell.cache_clear()  # As in a new process.
    before = set(flags.FLAGS)
    with (
        mock.patch.object(sys, "argv", [name, *arguments]),
        # `runpy` would have code that checks types kept where other processes look for any code.
        mock.patch.object(sys, "dont_write_bytecode", True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message=".* found in sys.modules", module="runpy")
        warnings.simplefilter("ignore", DeprecationWarning)  # of ml_collections, which imports
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=False)
        except SystemExit as end:
            status = end.code or 0
        finally:
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)
            flags.FLAGS.unparse_flags()
    return CommandResult(status, out.getvalue(), err.getvalue())


def contents(folder: Path) -> Mapping[str, str]:
    """What lies in a folder: the kind of each thing, and of files a digest."""
    found = {}
    for file in sorted(folder.rglob("*")):
        if file.is_symlink():
            kind = f"link to {os.readlink(file)}"
        elif file.is_file():
            kind = hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            kind = "folder" if file.is_dir() else "other"
        found[str(file.relative_to(folder))] = kind
    return found
