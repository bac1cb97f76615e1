"""Texts of a run without this machine's paths: only the last name of a path is kept."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.text import quoted
from common.weights.resolve import BUNDLED, local_directory, single_file

_KIND = re.compile(r"([a-z_]+):(?!//)(.+)", re.DOTALL)
_PATH = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]|(?:gs|file)://")
# A path of a machine in the middle of a text; a URL's slashes stand behind a colon.
_INSIDE = re.compile(
    r"(?<![\w:/.<>)-])[/~][\w.-]+/|\b[A-Za-z]:[\\/][\w.-]|\\\\[\w.-]+\\|(?:gs|file)://"
)
_MODELS = ("model", "clip")


def portable(value: Any, names: Mapping[str, str]) -> Any:
    """Return what JSON holds, with paths cut to their last name.

    Args:
      value: The whole, at any depth.
      names: What stands for a text in the published run: hub ids of models by their folder.
    """
    if isinstance(value, Mapping):
        return {portable(key, names): portable(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [portable(item, names) for item in value]
    return _portable_text(value, names) if isinstance(value, str) else value


def _portable_text(text: str, names: Mapping[str, str]) -> str:
    """Return a path's last name, also behind `kind:` and for each of several behind commas."""
    if text in names:
        return names[text]
    kind = _KIND.fullmatch(text)
    if kind:
        return f"{kind[1]}:" + ",".join(_last_name(part) for part in kind[2].split(","))
    return _last_name(text)


def _last_name(text: str) -> str:
    is_path = _PATH.match(text) or ("/" in text and _exists(text))
    return re.split(r"[/\\]", text.rstrip("/\\"))[-1] if is_path and len(text) > 1 else text


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def model_names(fields: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the hub ids that stand for models of this machine.

    Args:
      fields: A run's, by dotted name.
      given: Hub ids by the path that the config says.

    Raises:
      UserError: A model lies in a folder or a file of this machine, and no id is given for it.
    """
    for name, value in fields.items():
        if name.rpartition(".")[2] not in _MODELS or not isinstance(value, str):
            continue
        here = value not in BUNDLED and (local_directory(value) or single_file(value))
        if value not in given and (here or _PATH.match(value)):
            raise UserError(
                f"the run's {name} is {value}, which others do not have: give its name on the "
                f"hub, --model={value}=OWNER/NAME."
            )
    return dict(given)


def require_portable(text: str, where: str) -> None:
    """Refuse a text that still tells of this machine.

    Raises:
      UserError: It holds a path or the name of the home folder; `where` says which file it is.
    """
    home = str(Path.home())
    inside = _INSIDE.search(text)
    if inside or (len(home) > 1 and f"{home}/" in text):
        told = text[inside.start() : inside.start() + 60] if inside else home
        raise UserError(
            f"{where} would tell a path of this machine, {quoted(told)}: remove it from the "
            "run's files."
        )
