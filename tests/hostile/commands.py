"""Commands run inside of the tests' own process, and what they leave behind."""

import contextlib
import hashlib
import io
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
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
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", DeprecationWarning)  # of ml_collections, which imports
        try:
            _run_as_main(name)
        except SystemExit as end:
            status = end.code or 0
        finally:
            for flag in set(flags.FLAGS) - before:
                delattr(flags.FLAGS, flag)
            flags.FLAGS.unparse_flags()
    return CommandResult(status, out.getvalue(), err.getvalue())


def _run_as_main(name: str) -> None:
    """Do what `python -m NAME` does, but for what it changes in `sys`.

    `runpy` would have the code of the loader that checks types, which writes it to where commands
    in processes of their own look for unchecked code.
    """
    spec = find_spec(name)
    if spec.submodule_search_locations is not None:
        spec = find_spec(f"{name}.__main__")
    code = compile(Path(spec.origin).read_bytes(), spec.origin, "exec")
    exec(code, {"__name__": "__main__", "__spec__": spec, "__package__": spec.parent})


def contents(folder: Path) -> Mapping[str, str]:
    """What lies in a folder: the kind of each thing, and of files a digest.

    What Python itself keeps of a config file is passed over.
    """
    found = {}
    for file in sorted(folder.rglob("*")):
        if "__pycache__" in file.parts:
            continue
        if file.is_symlink():
            kind = f"link to {os.readlink(file)}"
        elif file.is_file():
            kind = hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            kind = "folder" if file.is_dir() else "other"
        found[str(file.relative_to(folder))] = kind
    return found
