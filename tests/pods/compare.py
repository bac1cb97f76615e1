"""Two runs of one method on different devices: the same numbers, to rounding in float32.

A sum over rows is made of partial sums, one for each device, and their number differs; so does the
shape of the batches that features are computed in, by which a matrix product orders its sums.
"""

import io

import numpy as np
from PIL import Image
from safetensors.numpy import load

from benchmarks.small_runs import taken_away

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
OF_PICTURES = {"rtol": 1e-3, "atol": 1e-5}
"""Of CLIP's cosines with drawn pictures, whose colours are rounded to one level or the next."""


def same_numbers(folder, other) -> None:
    """Asserts that the runs' files are the same, name by name, up to rounding."""
    ours, theirs = taken_away(folder / "run"), taken_away(other / "run")
    assert set(ours) == set(theirs) and "result.json" in ours
    for name in ours:
        compare(name, ours[name], theirs[name])


def compare(name, ours, theirs) -> None:
    if name.endswith(".safetensors"):
        ours, theirs = load(ours), load(theirs)
        assert set(ours) == set(theirs)
        for key in ours:
            np.testing.assert_allclose(ours[key], theirs[key], **TOLERANCE, err_msg=name)
    elif name.endswith(".png"):
        first, second = (np.asarray(Image.open(io.BytesIO(x)), np.int32) for x in (ours, theirs))
        assert first.shape == second.shape
        assert np.mean(np.abs(first - second) > 8) < 0.01, name
    elif isinstance(ours, bytes):
        assert ours == theirs, name
    else:
        nested(name, ours, theirs)


def nested(name, ours, theirs) -> None:
    """Compares what JSON holds; words must be equal and numbers nearly so."""
    assert type(ours) is type(theirs), (name, ours, theirs)
    if isinstance(ours, dict):
        assert list(ours) == list(theirs), name
        for key in ours:
            if key not in ("devices", "dataset"):  # The latter holds a folder.
                nested(f"{name}, {key}", ours[key], theirs[key])
    elif isinstance(ours, list):
        assert len(ours) == len(theirs), name
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            nested(f"{name}, {number}", *pair)
    elif isinstance(ours, float):
        tolerance = OF_PICTURES if name.endswith("generated/clip_i") else TOLERANCE
        np.testing.assert_allclose(ours, theirs, **tolerance, err_msg=name)
    else:
        assert ours == theirs, name
