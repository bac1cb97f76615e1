"""The flag `--config=FILE.py[:key=value,...]` and its overrides, `--config.key=value`."""

import importlib.util
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from common.errors import UserError
from common.old_spellings import is_old_name, respelled, todays_names
from common.packages import package_of
from common.progress import say
from common.text import quoted
from common.values import check_name, flatten, kind_of, parse_value

FOLDER = "configs"
"""The package of our own config files."""

_OVERRIDE = re.compile(r"--?(?:no)?config\.(?P<name>[^=]*)(?:=(?P<text>.*))?", re.DOTALL)


def find_config(file: str) -> Path:
    """Return the config file of that name; ours are found wherever a command is run.

    Raises:
      UserError: There is none.
    """
    path = Path(file)
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # No system has such a path.
        raise UserError(f"--config={quoted(file)} is not the name of a file.") from None
    spec = importlib.util.find_spec(FOLDER)
    folders = [Path(x) for x in spec.submodule_search_locations or ()] if spec else []
    if path.parts[:-1] in ((), (FOLDER,)) and path.name not in ("", "__init__.py"):
        for folder in folders:
            if (candidate := folder / path.name).is_file():
                say(f"{file} is taken from {folder}.")
                return candidate
    names = sorted({x.name for folder in folders for x in folder.glob("[!_]*.py")})
    raise UserError(
        f"--config={quoted(file)}: there is no file {quoted(file)}; ours are "
        f"{', '.join(f'{FOLDER}/{name}' for name in names)}."
    )


SETS_OTHERS = ("preset", "recipe", "recipe_from")
"""Fields of our configs that set other fields."""


class ConfigFile(flags.ArgumentParser):
    """Reads a config file and says in a sentence what is wrong with it or its overrides."""

    def __init__(self, parser: flags.ArgumentParser) -> None:
        self._parser = parser
        self._fields: dict[str, Any] = {}
        self._todays: dict[str, str] = {}
        self._read_ahead: dict[str, ConfigDict] = {}

    def parse(self, path: str) -> ConfigDict:
        """Return the config of "FILE.py[:key=value,...]"."""
        config = self._read_ahead.pop(path, None) or self._read(path)
        self._fields = flatten(config)
        self._todays = todays_names(config.get("method"), self._fields)
        for argument in sys.argv[1:]:
            if override := _OVERRIDE.fullmatch(argument):
                _check_override(config, override["name"], override["text"])
        return config

    def respell(self, argv: list[str]) -> None:
        """Write a command line's overrides of fields in today's spelling, in place.

        The flags of overrides are made for the fields that the config has. An override of a field
        that sets others is moved behind the colon of `--config`, where it sets them.
        """
        overrides = {i: _OVERRIDE.fullmatch(argument) for i, argument in enumerate(argv)}
        special = {i: x for i, x in overrides.items() if x and _is_special(x["name"])}
        if not special or not (place := _place_of_config(argv)):
            return
        row, prefix = place
        path = argv[row].removeprefix(prefix)
        config = self._read_ahead[path] = self._read(path)
        fields, moved = flatten(config), {}
        todays = todays_names(config.get("method"), fields)
        for i, match in special.items():
            name, text = match["name"], match["text"]
            if text is None:
                argv[i] = argv[i].replace(name, todays.get(name, name), 1)
                continue
            found = respelled({"method": config.get("method"), name: text}, fields)
            name, text = found.get(name, (name, text))
            argv[i] = f"--config.{name}={text}"
            if name in SETS_OTHERS and name in fields and package_of(config.get("method")):
                moved[i] = f"{name}={text}"
        if moved:
            settings = ",".join(moved.values())
            argv[row] = f"{prefix}{path}{',' if ':' in path else ':'}{settings}"
            argv[:] = [argument for i, argument in enumerate(argv) if i not in moved]

    def _read(self, path: str) -> ConfigDict:
        name, colon, arg = path.partition(":")
        file = str(find_config(name))
        try:
            config = self._parser.parse(file + colon + arg)
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
        return config

    def hint(self, name: str) -> str:
        """Return what to write for an unknown option that is a field of the config, else ""."""
        today = self._todays.get(name, name)
        field = f"--config.{today}=VALUE"
        return f"'{name}' is a field of the config: write {field}." if today in self._fields else ""


class WholeNumber(flags.IntegerParser):
    """Reads whole numbers as behind the colon of a config file."""

    def convert(self, argument: int | str) -> int:
        """Return the number of a text."""
        return argument if isinstance(argument, int) else parse_value("", argument, int, None)


def _is_special(name: str) -> bool:
    return name in SETS_OTHERS or is_old_name(name)


def _place_of_config(argv: Sequence[str]) -> tuple[int, str] | None:
    """Return which argument of a command line names the config, and what stands before the name."""
    for i, argument in enumerate(argv):
        flag, equals, _ = argument.partition("=")
        if flag in ("--config", "-config"):
            return (i, f"{flag}=") if equals else (i + 1, "") if i + 1 < len(argv) else None
    return None


def _check_override(config: ConfigDict, name: str, text: str | None) -> None:
    check_name(name, flatten(config))
    kind = kind_of(config, name)
    if text is not None and kind in (bool, int, float, str):
        parse_value(name, text, kind, None)
