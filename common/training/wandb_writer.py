"""Weights & Biases as one more place for a run's metrics; its package is optional."""

import secrets
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from common.config import flatten
from common.errors import UserError
from common.files import read_record, write_json
from common.paths import AnyPath, in_bucket, within


def require_wandb(project: str) -> ModuleType | None:
    """Return the package, if a project is named.

    Raises:
      UserError: It is not installed.
    """
    if not project:
        return None
    try:
        import wandb
    except ImportError:
        wandb = None
    # Where the package is absent, a folder of this name imports as an empty one.
    if not hasattr(wandb, "init"):
        raise UserError(
            f"wandb={project!r} needs a package that is not installed: pip install wandb, or "
            "leave the field empty."
        )
    return wandb


def wandb_writers(config: ConfigDict, workdir: AnyPath) -> tuple["WandbWriter", ...]:
    """Return the writer that `config.wandb` asks for: one on the first host, or none."""
    if not config.wandb or jax.process_index() != 0:
        return ()
    return (WandbWriter(config, workdir),)


class WandbWriter:
    """Sends metrics and pictures to the project `config.wandb`.

    The run's id stands in `workdir/wandb.json`, so a resumed run is the same one there. Steps
    that were sent before an interruption are not sent again: they have the same numbers.

    Raises:
      UserError: Weights & Biases refuses, for instance without a key.
    """

    def __init__(self, config: ConfigDict, workdir: AnyPath) -> None:
        self._wandb = require_wandb(config.wandb)
        try:
            self._run = self._wandb.init(
                project=config.wandb,
                id=_run_id(within(workdir, "wandb.json")),
                resume="allow",
                name=workdir.name,
                dir=None if in_bucket(workdir) else str(within(workdir, "wandb").parent),
                config=flatten(config),
            )
        except self._wandb.Error as error:
            raise UserError(
                f"wandb={config.wandb!r}: {error}; log in, set WANDB_MODE=offline, or leave the "
                "field empty."
            ) from error

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Send the numbers of a step; those that are not finite are left out."""
        self._run.log({name: x for name, x in values.items() if x is not None}, step=step)

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Send uint8 images [height, width, 3]."""
        images = {name: self._wandb.Image(picture) for name, picture in pictures.items()}
        self._run.log(images, step=step)

    def close(self, failed: bool) -> None:
        """Wait until all is sent."""
        self._run.finish(exit_code=int(failed))


def _run_id(path: AnyPath) -> str:
    if not path.exists():
        write_json(path, {"id": secrets.token_hex(4)})
    remedy = "remove it to start a new run there"
    return read_record(path, remedy).text("id", longest=64)
