"""Every mesh says of what type its axes are: JAX's own choice differs from release to release."""

import ast
from pathlib import Path

import pytest

from common.packages import PACKAGES

ROOT = Path(__file__).parents[1]
FOLDERS = (*PACKAGES, "benchmarks", "configs", "tests", "tools")


def silent_meshes(text):
    """Lines with a `jax.make_mesh` that leaves the types to JAX."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return [
        call.lineno
        for call in calls
        if ast.unparse(call.func) == "jax.make_mesh"
        and len(call.args) < 3
        and "axis_types" not in {keyword.arg for keyword in call.keywords}
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_types_of_axes_are_said(folder):
    found = {
        str(file.relative_to(ROOT)): lines
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "make_mesh" in (text := file.read_text()) and (lines := silent_meshes(text))
    }
    assert found == {}


def test_what_is_silent():
    assert silent_meshes("import jax\njax.make_mesh((1,), ('data',))") == [2]
    assert silent_meshes("jax.make_mesh((1,), ('data',), (AxisType.Auto,))") == []
    assert silent_meshes("jax.make_mesh((1,), ('data',), axis_types=types)") == []
