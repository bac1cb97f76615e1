"""Imports go one way: from each layer to those below it."""

import ast
from pathlib import Path

import pytest

from common.packages import METHODS

ROOT = Path(__file__).parents[1]
PACKAGES = ("common", "configs", "tools", *METHODS)
# From the bottom up. Packages of a layer do not import each other, but for the pairs in TOGETHER.
FLOORS = (
    {"chips", "flops", "gradients", "latest", "lazy", "packages", "text", "trees", "version"},
    {"damage", "interrupts", "strict_json", "terms"},
    {"errors", "progress"},
    {"choices", "csv_text", "finite", "names", "nesting", "photos", "records"},
    {"paths"},
    {"attention", "encoding", "files", "hosts", "hub", "precision", "sizes", "values"},
    {"checks", "old_spellings", "pictures"},
    {"bpe", "config_file", "seeds", "settings", "spread", "weights"},
    {"config"},
    {"clip"},
    {"diffusion", "language"},
    {"kinds"},
    {"data", "pocket"},
    {"evaluation", "training"},
    {"protocols"},
    {"aot", "describe", "fields", "page", "publishing", "runs", "split", "torch_check"},
    {"overview"},
    {"commands", "convert", "publish", "report"},
    {"notebook"},
    {"configs", "tools", *METHODS},
)
# The pocket world is a data set; a method's commands take their defaults from its configs.
TOGETHER = (
    {"data", "pocket"},
    *({"configs", method} for method in METHODS),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# The same within a method that has rooms; files at its top that are not named stand above all.
ROOM_FLOORS = {
    "aape_jax": (
        {"datasets"},
        {"core"},
        {"task"},
        {"captioning", "classification", "retrieval", "vqa"},
    ),
}
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


def modules_entered(file):
    """The modules of ours that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names):
                modules = [each.name for each in names]
            case ast.ImportFrom(str(package), names) if package in PACKAGES:
                modules = [f"{package}.{each.name}" for each in names]
            case ast.ImportFrom(str(module)):
                modules = [module]
            case _:
                continue
        yield from (m for m in modules if m.partition(".")[0] in PACKAGES)


def rooms_entered(file):
    """The rooms that a file imports from."""
    return filter(None, map(room_of, modules_entered(file)))


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


def inner_room_of(method, module):
    """The room of a module of a method, e.g. "core"; "" for a file above all rooms."""
    room = module.removeprefix(method).strip(".").partition(".")[0]
    return room if any(room in rooms for rooms in ROOM_FLOORS[method]) else ""


def inner_rooms_entered(method, file):
    """The rooms of a method that a file imports from."""
    ours = (m for m in modules_entered(file) if m.partition(".")[0] == method)
    return {inner_room_of(method, module) for module in ours}


def wrong_rooms(method, own, entered):
    """The rooms that a file of the room `own` may not import from; "" stands above all."""
    floor = {room: n for n, rooms in enumerate(ROOM_FLOORS[method]) for room in rooms}
    above = len(ROOM_FLOORS[method])
    return {
        room for room in entered if room != own and floor.get(room, above) >= floor.get(own, above)
    }


@pytest.mark.parametrize("method", ROOM_FLOORS)
def test_imports_between_rooms_go_down(method):
    wrong = {}
    for file in sorted((ROOT / method).rglob("*.py")):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        own = inner_room_of(method, module)
        if found := wrong_rooms(method, own, inner_rooms_entered(method, file)):
            wrong[module] = found
    assert wrong == {}


@pytest.mark.parametrize("method", ROOM_FLOORS)
def test_the_table_of_rooms_names_what_is_there(method):
    folders = {file.parent.name for file in (ROOT / method).glob("*/__init__.py")}
    named = set().union(*ROOM_FLOORS[method])
    assert folders <= named
    assert named <= folders | {file.stem for file in (ROOT / method).glob("*.py")}


def test_what_is_a_wrong_room(tmp_path):
    file = tmp_path / "x.py"
    file.write_text(
        "import aape_jax.evaluate\ndef f():\n    from aape_jax import vqa\n"
        "    from aape_jax.core.aggregators import table\n    from aape_jax import task"
    )
    entered = inner_rooms_entered("aape_jax", file)
    assert entered == {"", "vqa", "core", "task"}
    assert wrong_rooms("aape_jax", "retrieval", entered) == {"", "vqa"}
    assert wrong_rooms("aape_jax", "core", entered | {"datasets"}) == {"", "vqa", "task"}
    assert wrong_rooms("aape_jax", "datasets", {"core"}) == {"core"}
    assert wrong_rooms("aape_jax", "", entered) == set()


def file_of(module):
    """The file of a module, or of the package whose name it is; None for a name in a module."""
    path = ROOT.joinpath(*module.split("."))
    return next((x for x in (path.with_suffix(".py"), path / "__init__.py") if x.is_file()), None)


def circles(entered):
    """Files that lead back to themselves, by the files that each imports from."""
    found, stack, done = [], [], set()

    def visit(file):
        if file in stack:
            found.append(stack[stack.index(file) :])
        elif file not in done:
            stack.append(file)
            for other in entered.get(file, ()):
                visit(other)
            done.add(stack.pop())

    for file in entered:
        visit(file)
    return found


def test_no_file_leads_back_to_itself():
    """Imports inside of functions count; a package's `__init__` lends names alone."""
    entered = {
        file: {x for m in modules_entered(file) if (x := file_of(m)) and x.name != "__init__.py"}
        for file in FILES
        if file.name != "__init__.py"
    }
    assert sum(map(len, entered.values())) > 1000
    assert circles(entered) == []


def test_what_a_circle_is():
    assert circles({"a": ["b"], "b": ["c"], "c": []}) == []
    assert circles({"a": ["b"], "b": ["c"], "c": ["b"]}) == [["b", "c"]]
