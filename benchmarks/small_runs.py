"""Runs of the three methods that take seconds, and what they are compared by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.data import ImageSplit
from common.files import write_json
from common.paths import AnyPath
from common.pocket.datasets import open_pocket, pocket_descriptions


@dataclass(frozen=True, eq=False)
class SmallRun:
    """A small run.

    Attributes:
      name: The package's, without its ending.
      fields: What its config sets; {world} is the folder that `write_world` writes.
      config: The config file's name, if it is not the package's.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""

    def flags(
        self, folder: Path, shared: Path, workdir: AnyPath | None = None, **changes: Any
    ) -> list[str]:
        """Return the flags of training into `workdir` (`folder/run`) and `folder/cache`."""
        folders = {"cache": folder / "cache", "compile_cache": shared / "xla"}
        settings = ",".join(f"{k}={v}" for k, v in {**self.fields, **folders, **changes}.items())
        config = f"configs/{self.config or self.name}.py:{settings.format(world=shared / 'world')}"
        return [f"--config={config}", f"--workdir={workdir or folder / 'run'}"]


RUNS = {
    small.name: small
    for small in (
        SmallRun(
            "mcti",
            {
                **{"data": "folder:{world}/photos", "samples": 1, "shots": 0},
                **{"updates": 8, "steps_per_call": 2, "log_every": 2, "save_every": 2},
                **{"generate.per_class": 1, "generate.steps": 2},
            },
        ),
        SmallRun(
            "protext",
            {
                **{"data": "folder:{world}/photos", "prompts.source": "json:{world}/corpus.json"},
                **{"depth": 2, "batch": 7, "updates": 24, "epochs": 8, "baselines": ""},
                **{"steps_per_call": 2, "log_every": 4, "save_every": 2, "eval_every": 8},
            },
        ),
        SmallRun(
            "aape",
            {
                **{"data": "folder:{world}/photos", "prompts.source": "json:{world}/corpus.json"},
                **{"shots": 0, "batch": 6, "updates": 24, "compare": "", "baselines": ""},
                **{"steps_per_call": 2, "log_every": 4, "save_every": 2, "eval_every": 8},
            },
        ),
    )
}
"""By name. Sizes leave a remainder wherever rows are dealt out to 2, 4 or 8 devices."""

CAPTIONS = SmallRun(
    "aape",
    {
        **{"data": "pocket:captions", "updates": 4, "map_updates": 2, "steps_per_call": 2},
        **{"lm.beams": 2, "images_at_once": 30, "pictures": 2, "compare": ""},
    },
    config="aape_captioning",
)
"""A language model that writes captions; its evaluation is what takes time."""

CLASSES, TRAIN, TEST, SENTENCES = 5, 4, 3, 5


def write_world(folder: Path) -> None:
    """Write photos of a few classes of the pocket world, and sentences about them."""
    dataset = open_pocket("rare")
    for part, shots in (("train", TRAIN), ("test", TEST)):
        split = getattr(dataset, part)
        for label, name in enumerate(dataset.classnames[:CLASSES]):
            write_photos(folder / "photos" / part / name, split, label, shots)
    texts = pocket_descriptions("rare", SENTENCES)
    write_json(folder / "corpus.json", {name: texts[name] for name in dataset.classnames[:CLASSES]})


def write_photos(folder: Path, split: ImageSplit, label: int, count: int) -> None:
    """Write the first photos of a class."""
    folder.mkdir(parents=True)
    for row in np.flatnonzero(split.labels == label)[:count]:
        split.load(int(row)).save(folder / f"{row}.png")


LEFT_OUT = ("checkpoints/", "events.", "config.json", ".lock")
"""How the names of the files begin that `taken_away` leaves out."""


def taken_away(workdir: Path) -> dict[str, Any]:
    """Return what a user takes away from a run, without what depends on the clock.

    Files by name: JSON less its timings and versions, all else as bytes. Checkpoints, events, the
    lock, which stays on a disk alone, and the config, which names folders, are left out.
    """
    contents: dict[str, Any] = {}
    for path in sorted(workdir.rglob("*")):
        name = path.relative_to(workdir).as_posix()
        if path.is_dir() or name.startswith(LEFT_OUT):
            continue
        if name == "metrics.jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            contents[name] = [_untimed(json.loads(line)) for line in lines]
        elif name == "result.json":
            contents[name] = _untimed(json.loads(path.read_text(encoding="utf-8")))
        else:
            contents[name] = path.read_bytes()
    return contents


def _untimed(values: Mapping[str, Any]) -> dict[str, Any]:
    timed = ("seconds", "steps_per_second", "versions")
    return {name: value for name, value in values.items() if name not in timed}
