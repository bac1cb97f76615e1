"""Imports go one way: from each layer to those below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
METHODS = ("mcti_jax", "protext_jax", "aape_jax")
PACKAGES = ("common", "configs", "tools", *METHODS)
# From the bottom up. Packages of a layer do not import each other, but for the pairs in TOGETHER.
FLOORS = (
    {"gradients", "latest", "lazy", "text", "trees", "version"},
    {"damage", "interrupts", "strict_json"},
    {"errors", "progress"},
    {"choices", "finite", "names", "photos", "records"},
    {"paths"},
    {"attention", "encoding", "files", "hosts", "precision", "sizes", "values"},
    {"checks"},
    {"bpe", "config_file", "seeds", "spread", "weights"},
    {"config"},
    {"clip"},
    {"diffusion", "language"},
    {"kinds"},
    {"data", "pocket"},
    {"evaluation", "training"},
    {"aot", "fields", "page", "runs", "torch_check"},
    {"convert", "report"},
    {"notebook"},
    {"configs", "tools", *METHODS},
)
# The pocket world is a data set; a method's commands take their defaults from its configs.
TOGETHER = (
    {"data", "pocket"},
    *({"configs", method} for method in METHODS),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = [
    file
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
    if file != ROOT / "common/__init__.py"
]


def room_of(module):
    """The room that a module lies in; "common" itself is none."""
    package, _, rest = module.partition(".")
    return rest.partition(".")[0] if package == "common" else package


def rooms_entered(file):
    """The rooms of ours that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                modules = [each.name for each in names]
            case ast.ImportFrom("common", names):
                modules = [f"common.{each.name}" for each in names]
            case ast.ImportFrom(str(module)):
                modules = [module]
            case _:
                continue
        ours = (m for m in modules if m.partition(".")[0] in PACKAGES)
        yield from filter(None, map(room_of, ours))


def wrong_ways(own, entered):
    """The rooms that a file of the room `own` may not import from."""
    return {
        room
        for room in entered
        if room != own and FLOOR[room] >= FLOOR[own] and {room, own} not in TOGETHER
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_down(package):
    wrong = {
        str(file.relative_to(ROOT)): found
        for file in FILES
        if file.relative_to(ROOT).parts[0] == package
        if (
            found := wrong_ways(
                room_of(".".join(file.relative_to(ROOT).with_suffix("").parts)),
                set(rooms_entered(file)),
            )
        )
    }
    assert wrong == {}


def test_what_is_a_wrong_way(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("import jax, common.clip\ndef f():\n    from common import page, files")
    assert set(rooms_entered(file)) == {"clip", "page", "files"}
    assert wrong_ways("data", rooms_entered(file)) == {"page"}
    assert wrong_ways("data", {"pocket"}) == set()
    assert wrong_ways("mcti_jax", {"configs", "training", "aape_jax"}) == {"aape_jax"}
    assert wrong_ways("training", {"evaluation", "configs"}) == {"evaluation", "configs"}
    assert wrong_ways("pocket", {"evaluation", "tools"}) == {"evaluation", "tools"}
    assert wrong_ways("tools", {"evaluation", "pocket", "configs"}) == {"configs"}
