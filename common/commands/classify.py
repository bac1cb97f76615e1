"""The command `classify`, the same for every method: which class does each photo show?

The packages of the methods offer it under their own names, e.g. `mcti_jax.classify`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from absl import flags

from common.clip.predictions import Predictions
from common.csv_text import csv_text
from common.data.loose import loose_photos
from common.errors import UserError
from common.files import atomic_write, read_strings
from common.hub import local_run
from common.names import readable
from common.paths import AnyPath, as_output, as_path
from common.photos.collection import Photos
from common.progress import Progress, say

_AT_ONCE = 512
_SHOWN = 20
FORMATS = (".csv", ".json", ".jsonl")


class Classifier(Protocol):
    """What a run learned, as `load` of each package gives it."""

    def classify(self, photos: Photos) -> Predictions:
        """Say which class each photo shows."""


@dataclass(frozen=True)
class Answer:
    """One photo's line.

    Attributes:
      image: Its path.
      name: The most probable class.
      probability: Of this class.
      second: The runner-up; empty where there is but one class.
      second_probability: Of the runner-up.
    """

    image: str
    name: str
    probability: float
    second: str
    second_probability: float


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_multi_string(
        "images", None, "A photo, a folder, a .txt list of paths, or - for stdin.", required=True
    )
    flags.DEFINE_string("out", None, "File for the answers: .csv, .json or .jsonl.")


def define_flags_of_any_names() -> None:
    """Define the options of methods that classify by any names."""
    define_flags()
    flags.DEFINE_string("classes", None, "JSON list of class names; the run's own by default.")


def define_flags_of_further_names() -> None:
    """Define the options of methods that classify by names beside what they learned."""
    define_flags()
    flags.DEFINE_string("names", None, "JSON list of further classes, by names that CLIP knows.")


def classify_run(load: Callable[[AnyPath], Classifier]) -> None:
    """Classify the photos that `--images` names and print or write the answers.

    Args:
      load: Gives what the run in a folder learned.

    Raises:
      UserError: There is no such run, or photos are missing or damaged.
    """
    options = flags.FLAGS
    out = options.out and _output(options.out)
    names, paths = _names(), loose_photos(options.images)
    learned = load(local_run(options.workdir))

    def classify(photos: Sequence[Path]) -> Predictions:
        return learned.classify(photos) if names is None else learned.classify(photos, names)

    lines = [answer for part in _parts(paths, classify) for answer in part]
    if out:
        with atomic_write(out) as temporary:
            temporary.write_text(written(lines, out.suffix), encoding="utf-8")
        say(f"wrote {out}")
        return
    for line in lines[:_SHOWN]:
        say(as_sentence(line))
    if len(lines) > _SHOWN:
        say(f"and {len(lines) - _SHOWN} more photos: --out=FILE.csv writes all of them.")


def read_class_names(file: str, flag: str = "--classes") -> list[str]:
    """Read a JSON list of names.

    Args:
      file: As the user gave it.
      flag: What gave it.

    Raises:
      UserError: It is something else, or a name has no letter.
    """
    names = read_strings(as_path(file), f"give {flag}=FILE, a JSON list of class names")
    if empty := [name for name in names if not readable(name)]:
        raise UserError(f"{flag}={file} has an empty name, {empty[0]!r}: give each class a name.")
    return names


def answers(paths: Sequence[Path], predictions: Predictions) -> list[Answer]:
    """Return a line for each photo."""
    lines = []
    for path, row in zip(paths, predictions.probabilities, strict=True):
        first, *others = (-row).argsort(kind="stable")  # Of equals the first, as argmax.
        second = others[0] if others else None
        lines.append(
            Answer(
                str(path),
                predictions.classnames[first],
                round(float(row[first]), 6),
                "" if second is None else predictions.classnames[second],
                0.0 if second is None else round(float(row[second]), 6),
            )
        )
    return lines


def written(lines: Sequence[Answer], suffix: str) -> str:
    """Return the answers as a file of this kind."""
    records = [asdict(line) for line in lines]
    if suffix == ".json":
        return json.dumps(records, indent=1, ensure_ascii=False) + "\n"
    if suffix == ".jsonl":
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return csv_text(records)


def as_sentence(line: Answer) -> str:
    """Return an answer as people read it."""
    second = f", {line.second} {line.second_probability:.1%}" if line.second else ""
    return f"{line.image}: {line.name} {line.probability:.1%}{second}"


def _parts(
    paths: Sequence[Path], classify: Callable[[Sequence[Path]], Predictions]
) -> Iterator[list[Answer]]:
    """Classify some photos at a time, so that memory stays small."""
    with Progress(len(paths), "Classifying photos", status="compiling…") as progress:
        for start in range(0, len(paths), _AT_ONCE):
            part = paths[start : start + _AT_ONCE]
            yield answers(part, classify(part))
            progress.update(start + len(part))


def _names() -> list[str] | None:
    flag = next((name for name in ("classes", "names") if name in flags.FLAGS), None)
    file = flag and flags.FLAGS[flag].value
    return read_class_names(file, f"--{flag}") if file else None


def _output(name: str) -> AnyPath:
    out = as_output(name, "--out")
    if out.suffix not in FORMATS:
        raise UserError(f"--out={name} ends in none of {', '.join(FORMATS)}: give it one of them.")
    return out
