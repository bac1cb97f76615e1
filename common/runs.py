"""Finished runs on disk, and which of them repeat one experiment."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Any

from common.config import flatten
from common.errors import UserError
from common.files import read_json
from common.old_spellings import spelled_today
from common.paths import AnyPath, in_bucket, require_bucket
from common.text import shortened
from common.training.results import read_result
from common.training.workdir import HARMLESS, is_among

# Runs whose configs differ in fields of such names are repetitions of one experiment.
SEED = "seed"
REMEDY = "leave this run out or train it again"
LONGEST_SETTING = 60


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
      folder: Where it lies.
      result: What its `result.json` holds.
      config: Its `config.json` by dotted name; empty where there is none.
    """

    folder: AnyPath
    result: Mapping[str, Any]
    config: Mapping[str, Any]


def read_run(folder: AnyPath) -> Run:
    """Read a finished run.

    Raises:
      UserError: There is no `result.json`, or it lacks what every method writes.
    """
    require_bucket(folder)
    file, config = folder / "result.json", folder / "config.json"
    if not file.exists():
        raise UserError(f"{folder} holds no finished run: there is no {file}.")
    for path in (file, config):
        if not in_bucket(path) and path.is_symlink():
            raise UserError(f"{path} is a link, which is not followed: copy the file itself.")
    fields = flatten(spelled_today(read_json(config, REMEDY))) if config.exists() else {}
    return Run(folder, read_result(file, REMEDY), fields)


def group_runs(runs: Sequence[Run]) -> dict[tuple[str, str, str], list[Run]]:
    """Group runs by (data set, model, row label) and sort each group by seed.

    Raises:
      UserError: Two runs are the same but for their folder.
    """
    families: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        key = run.result["dataset"], run.result["model"], run.result["method"]
        families.setdefault(key, []).append(run)
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for (dataset, model, method), family in families.items():
        differing = _differing_fields(family)
        for run in family:
            settings = ", ".join(f"{name}={_setting(run, name)}" for name in differing)
            label = f"{method} ({settings})" if settings else method
            groups.setdefault((dataset, model, label), []).append(run)
    for group in groups.values():
        group.sort(key=_seeds)
        for run, following in pairwise(group):
            if _seeds(run) == _seeds(following):
                raise UserError(
                    f"{run.folder} and {following.folder} are the same run, seed "
                    f"{run.result['seed']}: name one of them."
                )
    return groups


def _seeds(run: Run) -> list[tuple[bool, float | int, str]]:
    """Return what runs of one experiment differ in, as a sort key: numbers first."""
    seeds = [
        run.result["seed"],
        *(run.config[n] for n in sorted(run.config) if n.endswith(SEED)),
    ]
    return [
        (False, seed, "") if isinstance(seed, Real) else (True, 0, json.dumps(seed))
        for seed in seeds
    ]


def _setting(run: Run, name: str) -> str:
    return shortened(str(run.config.get(name)), LONGEST_SETTING)


def _differing_fields(family: Sequence[Run]) -> list[str]:
    names = sorted({name for run in family for name in run.config})
    return [
        name
        for name in names
        if not is_among(name, HARMLESS)
        and not name.endswith(SEED)
        and len({json.dumps(run.config.get(name)) for run in family}) > 1
    ]
