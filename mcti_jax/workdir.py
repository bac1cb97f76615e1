"""Reading what a training run left behind."""

import json
from pathlib import Path

from ml_collections import ConfigDict

from common.errors import UserError


def read_run(workdir: Path) -> ConfigDict:
    """The config of a finished run.

    Raises:
      UserError: the folder holds no run, or one that has not finished.
    """
    if not (workdir / "config.json").exists():
        raise UserError(f"--workdir={workdir} holds no run: it has no config.json.")
    if not (workdir / "tokens").is_dir():
        raise UserError(f"the run in {workdir} has not finished: run its training command again.")
    return ConfigDict(json.loads((workdir / "config.json").read_text(encoding="utf-8")))
