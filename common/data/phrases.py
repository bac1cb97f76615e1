"""Files that list texts about classes: {class: [text, ...]}."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import UserError
from common.files import read_json
from common.progress import say
from common.text import some

SHAPE = "{class: [sentence, ...]}"
TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".xlsx")


def read_phrases(path: Path | str) -> dict[str, list[str]]:
    """Read `{class: [sentence, ...]}`, gzipped where the name ends in `.gz`.

    A key may occur twice, as in ProText's published file: its last list counts, and a message
    reports it.

    Args:
      path: The file; where it is absent and `path.gz` is not, that one.

    Raises:
      UserError: It is missing, empty or something else.
    """
    path = find_phrases(path)
    if path.suffix.lower() in TABLES:
        raise UserError(f"{path} is not a JSON file: write its rows as a JSON object, {SHAPE}.")
    repeated: list[str] = []
    content = read_json(path, f"give {SHAPE}", repeated=repeated)
    if not content:
        raise UserError(f"the prompts file {path} is empty: it needs {SHAPE}.")
    check_phrases(content, f"the prompts file {path}")
    if repeated:
        _say_once(f"{path} names {some(repeated)} twice: the last list of each counts.")
    return content


def find_phrases(path: Path | str) -> Path:
    """Return the file that `read_phrases` reads; nothing need be there."""
    path = Path(path).expanduser()
    gzipped = path.with_name(f"{path.name}.gz")
    return gzipped if not path.exists() and gzipped.exists() else path


@functools.cache
def _say_once(line: str) -> None:
    """Print a line once, though a run reads the file several times."""
    say(line)


def check_phrases(content: Mapping[str, Any], source: object) -> None:
    """Refuse JSON of another shape.

    Args:
      content: The content of the file.
      source: The file as messages name it.

    Raises:
      UserError: A class does not have a list of texts.
    """
    for name, phrases in content.items():
        if not name.strip():
            raise UserError(f"{source} has a class without a name, {name!r}: give it one.")
        if isinstance(phrases, Mapping):
            raise UserError(
                f"{source} has no list of sentences at {name!r} but further groups "
                f"({some(phrases, 3, none='none')}): put their sentences into "
                f"one list, {SHAPE}."
            )
        if not isinstance(phrases, list):
            raise UserError(
                f"{source} has no list of sentences at {name!r} but {_kind(phrases)}: it needs "
                f"{SHAPE}."
            )
        if odd := [x for x in phrases if not isinstance(x, str)]:
            raise UserError(
                f"{source} has no list of sentences at {name!r}: {_kind(odd[0])} stands among "
                f"them; it needs {SHAPE}."
            )


def _kind(value: object) -> str:
    names = {dict: "a group", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value)) or ("null" if value is None else f"the number {value}")
