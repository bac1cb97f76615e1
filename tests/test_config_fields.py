"""Every field of every config is explained where it is defined, and read where it matters."""

import ast
import importlib
from pathlib import Path

import pytest

from common.config import flatten
from common.training.schedule import Schedule

ROOT = Path(__file__).parents[1]
CONFIGS = ("mcti", "protext")
# What reads configs beside a method's own package.
COMMON = ("common/training", "common/aot")


def chain(node):
    """The dotted field that `config.a.b` or `self.config.a.b` names, or None."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    whole = [node.id, *names]
    whole = whole[1:] if whole[0] == "self" else whole
    return ".".join(whole[1:]) if whole[0] == "config" else None


def reads(source):
    """The fields that a module reads: as attributes, by name, or of a group under its own name."""
    tree, found = ast.parse(source), set()
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.Module):
            continue
        nodes = list(ast.walk(scope))
        groups = {
            target.id: chain(node.value)
            for node in nodes
            if isinstance(node, ast.Assign) and chain(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(chain(node))
                if isinstance(node.value, ast.Name) and node.value.id in groups:
                    found.add(f"{groups[node.value.id]}.{node.attr}")
            match node:
                case ast.Call(ast.Attribute(value, "get"), [ast.Constant(str(name)), *_]):
                    if chain(value) == "":
                        found.add(name)
    return found - {None, ""}


def undocumented(source):
    """The fields whose definition, `config.name = value`, has no comment behind it."""
    lines, found = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and (name := chain(node.targets[0])):
            is_group = isinstance(node.value, ast.Call) and not node.value.args
            rest = lines[node.end_lineno - 1][node.end_col_offset :]
            if not is_group and not rest.strip().startswith("#"):
                found.append(name)
    return found


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_is_read(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    package = config.method.partition(".")[0]
    files = [
        ROOT / "configs" / f"{name}.py",
        *(file for part in (package, *COMMON) for file in (ROOT / part).rglob("*.py")),
    ]
    found = set(Schedule.__dataclass_fields__).union(*(reads(f.read_text("utf-8")) for f in files))
    assert sorted(set(flatten(config)) - found) == []


@pytest.mark.parametrize("name", (*CONFIGS, "aape", "aape_retrieval", "aape_vqa"))
def test_every_field_is_documented(name):
    assert undocumented((ROOT / "configs" / f"{name}.py").read_text("utf-8")) == []


def test_what_counts_as_reading():
    source = """
def f(self, config, other):
    config.written = config.read + self.config.mesh.data + other.config.foreign
    options = config.generate
    return options.steps, config.get("named"), other.get("absent"), options
"""
    assert reads(source) == {
        *("read", "mesh", "mesh.data", "get", "generate", "generate.steps", "named"),
    }


def test_what_counts_as_documented():
    source = """
config.good = 1  # the first
config.bad = "# no comment"
config.group = ConfigDict()
config.group.bad = (
    2  # inside
)
"""
    assert undocumented(source) == ["bad", "group.bad"]
