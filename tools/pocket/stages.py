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
from common.nesting import flatten, nest
from common.progress import say
from common.weights.files import read_tensors, write_tensors
from tools.pocket.fitting import Allowance
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


class Stages:
    """Parameters of finished stages in a work folder, and the seconds that each took.

    Args:
      work: The folder.
      recipe: Says how long a stage may take.
    """

    def __init__(self, work: Path, recipe: Recipe):
        self.work, self.recipe, self._clock = work, recipe, work / "seconds.json"
        self.times: dict[str, float] = read_json(self._clock) if self._clock.exists() else {}

    def run(self, name: str, train: Callable[[Allowance], dict[str, Any]]) -> dict[str, Any]:
        """Return a stage's parameters, which are trained first if the folder lacks them.

        An unfinished stage keeps its state beside the finished ones.
        """
        file = self.work / f"{name}.safetensors"
        if file.exists():
            say(f"{name}: done before")
            return nest(read_tensors(file))
        state = self.work / f"{name}.state.safetensors"
        start = time.monotonic()
        params = train(Allowance(self.recipe.allowed(name), state))
        self._note(name, time.monotonic() - start)
        write_tensors(file, jax.tree.map(np.asarray, flatten(params)), {})
        state.unlink(missing_ok=True)
        return nest(read_tensors(file))

    def _note(self, name: str, seconds: float) -> None:
        self.times[name] = round(seconds, 1)
        with atomic_write(self._clock) as temporary:
            temporary.write_text(json.dumps(self.times))
