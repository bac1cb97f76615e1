"""What a run leaves behind: its prompts, in a file of kilobytes."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.config import read_config
from common.errors import UserError
from common.files import read_record
from common.finite import require_finite
from common.paths import AnyPath, as_path, on_disk
from common.training.unfinished import read_unfinished
from common.weights.files import write_tensors
from common.weights.safetensors_file import read_safetensors
from configs.protext import defaults
from protext_jax.learned import FORMAT, LearnedPrompts
from protext_jax.runs import make_runs


def write_prompts(path: AnyPath, learned: LearnedPrompts) -> None:
    """Write one safetensors file."""
    write_tensors(path, learned.arrays, learned.metadata)


def all_runs(config: ConfigDict, weights: str, trainable: PyTree) -> list[LearnedPrompts]:
    """Return the result of each run of a tree with the runs in front."""
    trees = [
        jax.tree.map(lambda x, i=i: np.asarray(x[i]), trainable)
        for i in range(len(make_runs(config)))
    ]
    return [
        LearnedPrompts.of(config, weights, tree, run)
        for tree, run in zip(trees, make_runs(config), strict=True)
    ]


def write_runs(workdir: AnyPath, learned: Sequence[LearnedPrompts], chosen: int) -> None:
    """Write `prompts.safetensors`, of a sweep also one file per run."""
    write_prompts(workdir / "prompts.safetensors", learned[chosen])
    for number, prompts in enumerate(learned if len(learned) > 1 else ()):
        write_prompts(workdir / f"sweep/{number}.safetensors", prompts)


def chosen_file(config: ConfigDict, workdir: AnyPath, number: int | None) -> AnyPath:
    """Return where the prompts of a run are: of a sweep those of one of its runs.

    Args:
      config: The run's.
      workdir: Its folder.
      number: Which of the runs; None for the one that is the result.

    Raises:
      UserError: There is no such run.
    """
    count = len(make_runs(config))
    if not 0 <= (number or 0) < count:
        wanted = f"0 to {count - 1}" if count > 1 else "0, or leave it out"
        raise UserError(f"--run={number} is not a run of {workdir}: give {wanted}.")
    swept = number is not None and count > 1
    return workdir / (f"sweep/{number}.safetensors" if swept else "prompts.safetensors")


def write_latest(workdir: AnyPath, number: int | None = None) -> None:
    """Write the prompts of an unfinished run's newest checkpoint as those of a finished one.

    Args:
      workdir: The run's folder.
      number: Of a sweep which run counts as the result; the first by default, for which of them
        does best on held-out sentences is known at the end.

    Raises:
      UserError: There is no run or no checkpoint, or no such run in the sweep.
    """
    config = read_config(workdir, defaults())
    chosen_file(config, workdir, number)  # Refuses before the checkpoint is read.
    unfinished = read_unfinished(workdir)
    learned = all_runs(config, unfinished.fingerprints["model"], unfinished.trainable)
    made = {"updates": str(unfinished.step)}
    learned = [replace(x, metadata={**x.metadata, **made}) for x in learned]
    write_runs(workdir, learned, number or 0)


def read_prompts(path: AnyPath | str) -> LearnedPrompts:
    """Read what `write_prompts` wrote.

    Raises:
      UserError: There is no such file, or it is something else.
    """
    path = as_path(path)
    if not path.is_file():
        raise UserError(f"there are no learned prompts at {path}: train them first.")
    with on_disk(path) as copy:
        arrays, metadata = read_safetensors(copy)
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path} holds no prompts of protext_jax; give prompts.safetensors.")
    require_finite(arrays, f"{path}", "train the prompts again")
    return LearnedPrompts(arrays, metadata)


def read_run_prompts(
    workdir: AnyPath, number: int | None = None
) -> tuple[ConfigDict, LearnedPrompts]:
    """Return the config of a finished run and its prompts; of a sweep those of run `number`.

    Raises:
      UserError: `workdir` holds no such run.
    """
    config = read_config(workdir, defaults())
    return config, read_learned(config, workdir, number)


def read_learned(config: ConfigDict, workdir: AnyPath, number: int | None = None) -> LearnedPrompts:
    """Return the prompts of a finished run; of a sweep those of run `number`.

    Raises:
      UserError: `workdir` holds no such run.
    """
    learned = read_prompts(chosen_file(config, workdir, number))
    # Files of older runs do not say so themselves.
    half = {"half": "True"} if config.faithful.half else {}
    made = {} if "updates" in learned.metadata else _updates(workdir)
    return replace(learned, metadata={**learned.metadata, **half, **made})


def _updates(workdir: AnyPath) -> dict[str, str]:
    """Return how many updates a finished run has made, as metadata say it."""
    result = workdir / "result.json"
    made = read_record(result).integer("updates", default=None) if result.exists() else None
    return {} if made is None else {"updates": str(made)}


def read_runs(config: ConfigDict, workdir: AnyPath) -> list[LearnedPrompts]:
    """Return what every run of a sweep learned, or the only run.

    Raises:
      UserError: A file is missing, that of the run which counts among them.
    """
    read_learned(config, workdir)
    return [read_learned(config, workdir, number) for number in range(len(make_runs(config)))]
