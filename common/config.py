"""Configs: `--config=FILE.py[:key=value,...]`, `--config.key=value`, and what runs write down.

A config file is a Python file with `get_config(arg)`, which returns a `ConfigDict`: defaults
with a comment each, then `return apply_arg(config, arg)`.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from common.errors import UserError
from common.files import read_json
from common.paths import AnyPath, as_output_folder, as_path, require_bucket
from common.progress import say
from common.values import check_name, filled_up, kind_of, lists_to_tuples, parse_value

ESSENTIAL = ("data", "model", "seed")
"""Fields without which a `config.json` is no run's."""

# Commas part settings, except inside brackets: "shape=(64,64),seed=3".
_SETTING = re.compile(r"(?:[^,(\[]|\([^)]*\)|\[[^\]]*\]|[(\[])+")

_OVERRIDE = re.compile(r"--?(?:no)?config\.(?P<name>[^=]+)(?:=(?P<text>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Invocation:
    """What the command line of a training command says."""

    config: ConfigDict
    workdir: AnyPath


def apply_arg(config: ConfigDict, arg: str | None) -> ConfigDict:
    """Applies "key=value,key=value" to `config` and returns it.

    Keys may be dotted ("mesh.data=2"). A value is read as the type of the field's default;
    a bare key means true. Values may contain ":" and "=".

    Raises:
      UserError: no such field, or a value that is none of the field's type.
    """
    for setting in _SETTING.findall(arg or ""):
        name, equals, text = setting.strip().partition("=")
        fields = flatten(config)
        check_name(name, fields)
        kind = kind_of(config, name)
        if not equals and kind is not bool:
            raise UserError(f"{name!r} needs a value: write {name}=VALUE.")
        value = parse_value(name, text, kind, fields[name]) if equals else True
        config.update_from_flattened_dict({name: value})
    return config


def flatten(config: Mapping[str, Any] | ConfigDict, prefix: str = "") -> dict[str, Any]:
    """The fields by dotted name, e.g. {"mesh.data": -1}."""
    fields = {}
    for name, value in config.items():
        if isinstance(value, Mapping | ConfigDict):
            fields |= flatten(value, f"{prefix}{name}.")
        else:
            fields[prefix + name] = value
    return fields


def to_json(config: ConfigDict) -> str:
    """The resolved config, as `config.json` holds it."""
    return json.dumps(config.to_dict(), indent=2) + "\n"


def read_config(workdir: AnyPath, *defaults: ConfigDict) -> ConfigDict:
    """The config of the run in `workdir`, locked.

    Args:
      workdir: the run's folder.
      defaults: configs with their defaults, told apart by `method`. A field that the run knows
        nothing of, since it is younger than the run, takes its default, and a line says so.

    Raises:
      UserError: `workdir` holds no run, or one of another method than these.
    """
    workdir = as_path(workdir)
    require_bucket(workdir)
    path = workdir / "config.json"
    remedy = f"train with --workdir={workdir} first"
    if not path.exists():
        raise UserError(f"{workdir} holds no run, there is no {path.name} in it: {remedy}.")
    written = lists_to_tuples(read_json(path, remedy))
    if defaults:
        if lacking := [name for name in ESSENTIAL if name not in written]:
            raise UserError(f"{path} has no field {lacking[0]!r}, so it is no run's: {remedy}.")
        ours = _of_method(path, written.get("method"), defaults).to_dict()
        absent = {name: x for name, x in flatten(ours).items() if name not in flatten(written)}
        if absent:
            taken = ", ".join(f"{name}={value!r}" for name, value in absent.items())
            say(f"{workdir} is older than some fields of the config; their defaults: {taken}.")
        written = filled_up(written, ours)
    return ConfigDict(written).lock()


def define_config_flag() -> None:
    """Defines `--config` with its overrides `--config.key=value`; read by `read_config_flag`."""
    config_flags.DEFINE_config_file(
        "config", None, "The config file, e.g. configs/mcti.py[:key=value,key=value]."
    )
    flag = flags.FLAGS["config"]
    flag.parser = _CarefulParser(flag.parser)


def define_flags() -> None:
    """Defines `--config` and `--workdir`, for `common.errors.run_command`."""
    define_config_flag()
    flags.DEFINE_string(
        "workdir", None, "The folder of the run, or gs://BUCKET/FOLDER; the same folder resumes it."
    )


def read_config_flag() -> ConfigDict:
    """The config that `--config` and its overrides make.

    Raises:
      UserError: `--config` is missing.
    """
    if flags.FLAGS.config is None:
        raise UserError("missing --config: name a config file, e.g. --config=configs/mcti.py.")
    return flags.FLAGS.config


def read_flags() -> Invocation:
    """The parsed flags.

    Raises:
      UserError: a flag is missing.
    """
    config = read_config_flag()
    if not flags.FLAGS.workdir:
        raise UserError("missing --workdir: say where the run's files go, --workdir=DIR.")
    return Invocation(config, as_output_folder(flags.FLAGS.workdir, "--workdir"))


class _CarefulParser(flags.ArgumentParser):
    """Reads a config file and says in a sentence what is wrong with it or its overrides."""

    def __init__(self, parser: flags.ArgumentParser) -> None:
        self._parser = parser

    def parse(self, path: str) -> ConfigDict:
        """The config of "FILE.py[:key=value,...]"."""
        file = path.partition(":")[0]
        if not os.path.isfile(file):  # Of a text that is not a path, too.
            raise UserError(f"--config={path:.200}: there is no file {file[:200]!r}.")
        try:
            config = self._parser.parse(path)
        except UserError:
            raise
        except Exception as error:  # A config file is a program and may fail in any way.
            cause = error.__context__ or error
            frames = traceback.extract_tb(cause.__traceback__)
            lines = [frame.lineno for frame in frames if frame.filename == file]
            where = f"{file}, line {lines[-1]}" if lines else file
            raise UserError(f"{where}: {type(cause).__name__}: {cause}") from error
        if not isinstance(config, ConfigDict):
            raise UserError(f"{file}: get_config() returned no ConfigDict.")
        for argument in sys.argv[1:]:
            if override := _OVERRIDE.fullmatch(argument):
                _check_override(config, override["name"], override["text"])
        return config


def _check_override(config: ConfigDict, name: str, text: str | None) -> None:
    check_name(name, flatten(config))
    kind = kind_of(config, name)
    if text is not None and kind in (bool, int, float):
        parse_value(name, text, kind, None)


def _of_method(path: AnyPath, method: str | None, defaults: Sequence[ConfigDict]) -> ConfigDict:
    known = {config.method: config for config in defaults}
    if method is None and len(known) == 1:
        return defaults[0]
    if method not in known:
        raise UserError(
            f"{path} says method={method!r}, but this command is for {' or '.join(known)}: name "
            "the folder of such a run."
        )
    return known[method]
