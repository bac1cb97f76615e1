"""What a run came to, as JSON: `result.json`, and `eval/NAME.json` of the `evaluate` commands."""

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax
from ml_collections import ConfigDict

from common.errors import UserError
from common.files import read_record, write_json
from common.paths import AnyPath, within
from common.progress import say
from common.records import Record
from common.text import some
from common.training.outputs import output_names
from common.training.types import Evaluation
from common.training.writers import finite_or_none
from common.version import __version__

VERSIONED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

TEXTS = ("method", "dataset", "model")
REQUIRED = (*TEXTS, "seed", "metrics", "baselines")
LONGEST = 1000
"""Letters of a text in a result."""

HUGE = 1e100
"""No metric is greater; far beyond it the arithmetic of means overflows."""


def write_result(workdir: AnyPath, result: Mapping[str, Any]) -> None:
    """Write `workdir/result.json`, whose presence says that the run is finished."""
    write_json(within(workdir, "result.json"), as_json(result))


def write_evaluation(path: AnyPath, result: Mapping[str, Any]) -> None:
    """Write what an `evaluate` command found to where `evaluation_file` said."""
    tell_not_finite(result)
    write_json(path, as_json(result))


def tell_not_finite(values: Mapping[str, Any]) -> None:
    """Say which numbers are NaN or infinite; in JSON they are null."""
    odd = names_not_finite(values)
    if odd:
        say(f"not a finite number, and null in the result: {some(odd, show=str)}.")


def names_not_finite(value: Any, name: str = "") -> list[str]:
    """Return the dotted names of the numbers in `value` that are NaN or infinite."""
    if isinstance(value, Mapping):
        items = [(f"{name}.{key}" if name else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        items = [(f"{name}[{index}]", item) for index, item in enumerate(value)]
    else:
        return [name] if finite_or_none(value) is None and value is not None else []
    return [dotted for key, item in items for dotted in names_not_finite(item, key)]


def evaluation_record(
    method: str, config: ConfigDict, evaluation: Evaluation, dataset: str = "", **facts: Any
) -> dict[str, Any]:
    """Return what was measured and what it came to.

    Args:
      method: Its name.
      config: The run's.
      evaluation: Of the run.
      dataset: What was measured on, where it is not the run's own.
      facts: What else stands in front of the numbers.
    """
    return {
        "method": method,
        "dataset": dataset or learned_from(config),
        "model": config.model,
        "seed": config.seed if evaluation.seed is None else evaluation.seed,
        **facts,
        "metrics": dict(evaluation.metrics),
        "baselines": dict(evaluation.baselines),
        "details": dict(evaluation.details),
    }


def learned_from(config: ConfigDict) -> str:
    """Return what a run's data set is called; of MC-TI with `add` there are two."""
    return " and ".join(place for place in (config.data, config.get("add", "")) if place)


def make_result(
    method: str, config: ConfigDict, evaluation: Evaluation, updates: int, seconds: float
) -> dict[str, Any]:
    """Return what `result.json` holds: what was run, what it came to and what it ran on."""
    return {
        **as_json(evaluation_record(method, config, evaluation, updates=updates)),
        "files": output_names(evaluation),
        "seconds": seconds,
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a run's numbers."""
    versions = {"python": platform.python_version(), "promptax": __version__}
    for package in VERSIONED:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # Without what pip writes down.
            versions[package] = "not installed"
    return versions


def as_json(value: Any) -> Any:
    """Return `value` as JSON holds it; null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return finite_or_none(value)


def read_result(file: AnyPath, remedy: str) -> dict[str, Any]:
    """Return what a result holds, of the types that tables and pages count on.

    Raises:
      UserError: It lacks what every method writes, or a value is of another type; `remedy` ends
        the sentence.
    """
    record = read_record(file, remedy)
    if missing := [name for name in REQUIRED if name not in record.content]:
        raise UserError(f"{record.where} lacks {', '.join(missing)}: {remedy}.")
    metrics, baselines = record.record("metrics"), record.record("baselines")
    return {
        **record.content,
        **{name: record.text(name, longest=LONGEST, default="") for name in TEXTS},
        "seed": record.integer("seed", low=-(2**63), high=2**64 - 1),
        "seconds": record.number("seconds", low=0, default=None),
        "metrics": _numbers(metrics),
        "baselines": {
            name: _numbers(baselines.record(name))
            if isinstance(value, dict)
            else {"accuracy": _number(baselines, name)}
            for name, value in baselines.content.items()
        },
        **{name: record.record(name, default={}).content for name in ("details", "versions")},
        "files": record.strings("files", default=()),
    }


def _numbers(record: Record) -> dict[str, float | None]:
    return {name: _number(record, name) for name in record.content}


def _number(record: Record, name: str) -> float | None:
    return record.number(name, low=-HUGE, high=HUGE, default=None)
