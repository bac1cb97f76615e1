"""The machine that a notebook runs on, and the settings that it gives to a run.

With PROMPTAX_SMOKE=1 in the environment, settings end in about a minute on one core.
"""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import jax

from common.errors import UserError

SMOKE = "PROMPTAX_SMOKE"


def smoke() -> bool:
    """Return whether the notebook is only to show that it runs."""
    return os.environ.get(SMOKE, "0") not in ("", "0")


def in_colab() -> bool:
    """Return whether this is Google Colab, whose kernel loads its own package before any cell."""
    return "google.colab" in sys.modules


def device_line() -> str:
    """Return the devices of this runtime, whatever they are, in one line."""
    first = jax.devices()[0]
    memory = (first.memory_stats() or {}).get("bytes_limit")
    parts = [f"{jax.device_count()} x {first.device_kind}"]
    if memory:
        parts.append(f"{memory / 2**30:.1f} GiB each")
    parts.append(f"jax {jax.__version__}, Python {platform.python_version()}")
    if first.platform == "cpu":
        parts.append("no accelerator: enough for the pocket models, not for published ones")
    return "; ".join(parts)


def settings(fields: Mapping[str, Any], more: str = "", smoke_run: str = "") -> str:
    """Return the argument of a config's `get_config`, as it stands behind the colon of `--config`.

    Args:
      fields: By dotted name; empty texts are left to the config's default.
      more: What the user adds, "key=value,..."; it wins over `fields`.
      smoke_run: What a smoke run changes, likewise; it wins over both.

    Raises:
      UserError: A value holds a comma, which would end it.
    """
    texts = {name: str(value) for name, value in fields.items() if value != ""}
    for name, value in texts.items():
        if "," in value:
            raise UserError(f"{name}={value!r} holds a comma: give a name or a path without one.")
    parts = [*(f"{name}={value}" for name, value in texts.items()), more.strip()]
    return ",".join(part for part in [*parts, smoke_run if smoke() else ""] if part)


def missing(*packages: str) -> str:
    """Return a sentence about the packages that an optional cell lacks; empty if it lacks none."""
    absent = [name for name in packages if find_spec(name) is None]
    return f"Skipped: this cell needs {' and '.join(absent)}." if absent else ""


def shell(*words: str) -> None:
    """Run a program and show what it prints while it runs.

    Unlike a notebook's own `!`, it forks no threads of jax's, and a failure stops the cells
    that follow.

    Raises:
      UserError: The program failed.
    """
    pipe, joined = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(words, stdout=pipe, stderr=joined, text=True) as program:
        for line in program.stdout:
            print(line, end="", flush=True)
    if program.returncode:
        raise UserError(f"{' '.join(words[:3])} ended with status {program.returncode}: see above.")


def sign_in() -> None:
    """Let gcloud act for the user in Colab; elsewhere it is signed in on the command line."""
    if in_colab():
        from google.colab import auth

        auth.authenticate_user()
