"""Which input files a run opens, and whether a change of each is seen."""

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

_open: list[set[Path]] = []


def _hook(event, args):
    if _open and event == "open" and isinstance(args[0], str):
        _open[-1].add(Path(args[0]).absolute())


sys.addaudithook(_hook)


@contextmanager
def recorded():
    """The files that Python opens in the body."""
    _open.append(set())
    try:
        yield _open[-1]
    finally:
        _open.pop()


def changed_json(path):
    """Every text within says something else."""

    def other(value):
        if isinstance(value, dict):
            return {name: other(item) for name, item in value.items()}
        if isinstance(value, list):
            return [other(item) for item in value]
        return f"{value} indeed" if isinstance(value, str) else value

    path.write_text(json.dumps(other(json.loads(path.read_text()))))


def changed_npz(path):
    """Every feature is a little different."""
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez(path, **{k: x * 1.01 + 0.01 if x.dtype.kind == "f" else x for k, x in arrays.items()})


def changed_picture(path):
    with Image.open(path) as image:
        kind, other = image.format, Image.eval(image, lambda x: 255 - x)
    other.save(path, kind)


def changed_tensors(path):
    save_file({name: np.asarray(x * 1.5 + 0.25) for name, x in load_file(path).items()}, path)


CHANGES: Mapping[str, Callable[[Path], None]] = {
    ".json": changed_json,
    ".npz": changed_npz,
    ".png": changed_picture,
    ".safetensors": changed_tensors,
}


def uncovered(
    fingerprints: Callable[[], Mapping[str, str]],
    inputs: Path,
    changes: Mapping[str, Callable[[Path], None]] | None = None,
) -> tuple[list[str], list[str]]:
    """The files below `inputs` that a run opens, and those whose change no fingerprint shows.

    Args:
      fingerprints: Loads the run and gives its fingerprints.
      inputs: The folder of all input files and of nothing else.
      changes: How files of some names are changed, instead of by their suffix.
    """
    with recorded() as files:
        before = fingerprints()
    # Libraries in other languages open files unseen.
    files |= set(inputs.rglob("*.safetensors"))
    opened = sorted(file for file in files if inputs in file.parents and file.is_file())
    blind = []
    for file in opened:
        original = file.read_bytes()
        (changes or {}).get(file.name, CHANGES[file.suffix])(file)
        if fingerprints() == before:
            blind.append(file.name)
        file.write_bytes(original)
    return [file.name for file in opened], blind
