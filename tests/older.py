"""Runs that were written before some fields of the config existed."""

import json
import shutil
from pathlib import Path


def older_copy(workdir: Path, to: Path, *fields: str, **spelled: str) -> Path:
    """A copy of a finished run whose `config.json` lacks some fields, by dotted name.

    `spelled` are fields whose values an earlier version called otherwise.
    """
    shutil.copytree(workdir, to, ignore=shutil.ignore_patterns("checkpoints", "eval"))
    path = to / "config.json"
    config = json.loads(path.read_text())
    for field in fields:
        group = config
        *groups, last = field.split(".")
        for name in groups:
            group = group[name]
        del group[last]
    path.write_text(json.dumps(config | spelled))
    return to
