"""Configs: `--config=FILE.py[:key=value,...]`, `--config.key=value`, and what runs write down.

A config file is a Python file with `get_config(arg)`, which returns a `ConfigDict`: defaults
with a comment each, then `return apply_arg(config, arg)`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from common.config_file import ConfigFile, WholeNumber
from common.errors import UserError
from common.files import read_json
from common.old_spellings import spelled_today
from common.paths import AnyPath, as_output_folder, as_path, require_bucket
from common.progress import say
from common.settings import apply_arg as apply_arg
from common.text import quoted, some
from common.values import filled_up, lists_to_tuples, typed
from common.values import flatten as flatten

ESSENTIAL = ("data", "model", "seed")
"""Fields without which a `config.json` is not a run's."""

PLACES = ("cache", "compile_cache", "wandb")
"""Fields that say where is written; a run's folder, which may be a stranger's, does not decide."""


@dataclass(frozen=True)
class Invocation:
    """What the command line of a training command says."""

    config: ConfigDict
    workdir: AnyPath


def choose_config(
    get_config: Callable[[Mapping[str, Any]], ConfigDict],
    config: ConfigDict | None,
    fields: Mapping[str, Any],
) -> ConfigDict:
    """Return the config that a constructor was given, whole or as fields that are not defaults.

    Args:
      get_config: Of the method's config file.
      config: The whole, or None.
      fields: By name, groups as mappings; a `Dataset` may stand for its string.

    Raises:
      TypeError: Both are given.
      UserError: There is no such field, or a value is not of its type.
    """
    if config is None:
        return get_config(fields)
    if fields:
        raise TypeError(f"give a config or fields, not both; the fields are {', '.join(fields)}.")
    written = config.to_dict()
    today = spelled_today(written)
    return config if today == written else ConfigDict(today).lock()


def changed(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
    """Return a copy of `config` with some fields changed, by dotted name; locked."""
    copy = ConfigDict(config.to_dict())
    copy.update_from_flattened_dict(dict(changes))
    return copy.lock()


def to_json(config: ConfigDict) -> str:
    """Return the resolved config, as `config.json` holds it."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def read_config(workdir: AnyPath, *defaults: ConfigDict, cache: str | None = None) -> ConfigDict:
    """Return the config of the run in `workdir`, locked.

    The folder may be a stranger's. What it says is checked against the types of the defaults, and
    the defaults decide where this machine keeps files (`PLACES`), not the folder.

    Args:
      workdir: The run's folder.
      defaults: Configs with their defaults, distinguished by `method`. A field that the run knows
        nothing of, since it is younger than the run, takes its default, and a line says so.
      cache: The folder that the user gives, or "" for the default, which is printed if it is not
        the run's; None where nothing is kept.

    Raises:
      UserError: `workdir` holds no run, or one of another method than these.
    """
    workdir = as_path(workdir)
    require_bucket(workdir)
    path = workdir / "config.json"
    remedy = f"train with --workdir={workdir} first"
    if not path.exists():
        raise UserError(f"{workdir} holds no run, there is no {path.name} in it: {remedy}.")
    written = spelled_today(lists_to_tuples(read_json(path, remedy)))
    if not defaults:
        return _locked(written, path, remedy)
    require_essential(written, path, remedy)
    ours = _of_method(path, written.get("method"), defaults).to_dict()
    _tell_differences(workdir, flatten(written), flatten(ours))
    if cache == "" and written.get("cache", ours.get("cache")) != ours.get("cache"):
        say(f"{workdir} does not decide where features are kept: in {ours['cache']}; see --cache.")
    found = filled_up(typed(written, ours, f"{path}: "), ours)
    found |= {name: ours[name] for name in PLACES if name in ours}
    if cache:
        found["cache"] = cache
    return _locked(found, path, remedy)


def require_essential(fields: Mapping[str, Any], path: AnyPath, remedy: str) -> None:
    """Refuse what a `config.json` holds if it lacks what every run has.

    Raises:
      UserError: A field is missing; `remedy` ends the sentence.
    """
    if lacking := [name for name in ESSENTIAL if name not in fields]:
        raise UserError(f"{path} has no field {lacking[0]!r}, so it is not a run's: {remedy}.")


def _locked(fields: Mapping[str, Any], path: AnyPath, remedy: str) -> ConfigDict:
    try:
        return ConfigDict(fields).lock()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} holds what no config holds ({reason}): {remedy}.") from error


def _tell_differences(
    workdir: AnyPath, written: Mapping[str, Any], ours: Mapping[str, Any]
) -> None:
    """Say which fields are not taken from a run, and what stands in for them."""
    if unknown := [name for name in written if name not in ours]:
        say(f"{workdir} has fields that are unknown here, which change nothing: {some(unknown)}.")
    if absent := {name: x for name, x in ours.items() if name not in written}:
        taken = ", ".join(f"{name}={value!r}" for name, value in absent.items())
        say(f"{workdir} is older than some fields of the config; their defaults: {taken}.")


def define_config_flag() -> None:
    """Define `--config` with its overrides `--config.key=value`; read by `read_config_flag`."""
    config_flags.register_flag_parser_for_type(int, WholeNumber())
    config_flags.DEFINE_config_file(
        "config", None, "The config file, e.g. configs/mcti.py[:key=value,key=value]."
    )
    flag = flags.FLAGS["config"]
    flag.parser = ConfigFile(flag.parser)


def define_flags() -> None:
    """Define `--config` and `--workdir`, for `common.errors.run_command`."""
    define_config_flag()
    flags.DEFINE_string(
        "workdir", None, "The folder of the run, or gs://BUCKET/FOLDER; the same folder resumes it."
    )


def read_config_flag() -> ConfigDict:
    """Return the config that `--config` and its overrides make.

    Raises:
      UserError: `--config` is missing.
    """
    if flags.FLAGS.config is None:
        raise UserError("missing --config: name a config file, e.g. --config=configs/mcti.py.")
    return flags.FLAGS.config


def read_flags() -> Invocation:
    """Return the parsed flags.

    Raises:
      UserError: A flag is missing.
    """
    config = read_config_flag()
    if not flags.FLAGS.workdir:
        raise UserError("missing --workdir: say where the run's files go, --workdir=DIR.")
    return Invocation(config, as_output_folder(flags.FLAGS.workdir, "--workdir"))


def _of_method(path: AnyPath, method: Any, defaults: Sequence[ConfigDict]) -> ConfigDict:
    known = {config.method: config for config in defaults}
    if method is None and len(known) == 1:
        return defaults[0]
    if not isinstance(method, str) or method not in known:
        raise UserError(
            f"{path} says method={quoted(method)}, but this command is for "
            f"{' or '.join(known)}: name the folder of such a run."
        )
    return known[method]
