"""A work folder with one file for each finished stage of a training that takes several."""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from common.errors import UserError
from common.files import atomic_write, read_json, read_text
from common.progress import say
from common.weights.files import read_tensors, write_tensors
from common.weights.nesting import flatten, nest
from tools.pocket.recipe import Recipe


def claim(work: Path, recipe: Recipe) -> None:
    """Write the recipe into `work`, or check that it is the one written there.

    Raises:
      UserError: `work` holds stages of another recipe.
    """
    file = work / "recipe.json"
    text = json.dumps(dataclasses.asdict(recipe), indent=2) + "\n"
    if not file.exists():
        with atomic_write(file) as temporary:
            temporary.write_text(text)
    elif read_text(file) != text:
        raise UserError(
            f"{str(work)!r} holds stages of another recipe (see recipe.json there): give another "
            "--work or delete it."
        )


class Stopwatch:
    """Seconds that each stage took, kept beside the stages."""

    def __init__(self, file: Path):
        self.file = file
        self.times: dict[str, float] = read_json(file) if file.exists() else {}

    def note(self, stage: str, seconds: float) -> None:
        """Record how long a stage took."""
        self.times[stage] = round(seconds, 1)
        with atomic_write(self.file) as temporary:
            temporary.write_text(json.dumps(self.times))


def run_stage(
    file: Path, train: Callable[[], dict[str, Any]], seconds: Stopwatch
) -> dict[str, Any]:
    """Return the parameters in `file`, which is written first if it is not there."""
    if not file.exists():
        start = time.monotonic()
        params = train()
        seconds.note(file.stem, time.monotonic() - start)
        write_tensors(file, jax.tree.map(np.asarray, flatten(params)), {})
    else:
        say(f"{file.stem}: done before")
    return nest(read_tensors(file))
