"""Every field of every config is explained where it is defined, and read where it matters."""

import ast
import importlib
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from aape_jax.core.aggregators import AGGREGATORS
from aape_jax.core.objective import Objective, prompt_objective
from common.config import flatten
from common.fields import read_fields
from common.training.schedule import Schedule

ROOT = Path(__file__).parents[1]
CONFIGS = tuple(
    file.stem for file in sorted((ROOT / "configs").glob("*.py")) if file.stem != "__init__"
)
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


class Watched(ConfigDict):
    """A config that notes which of its fields are asked for, in `asked`."""

    asked: set[str]

    @classmethod
    def of(cls, config, asked, prefix=""):
        own = cls(config.to_dict())
        object.__setattr__(own, "asked", asked)
        object.__setattr__(own, "prefix", prefix)
        return own

    def __getitem__(self, name):
        value = super().__getitem__(name)
        if "asked" not in self.__dict__:  # It is still being made.
            return value
        if isinstance(value, ConfigDict):
            return Watched.of(value, self.asked, f"{self.prefix}{name}.")
        self.asked.add(self.prefix + name)
        return value


def asked_by_aape(config):
    """What AAPE's parts ask for of the groups that they are handed, whatever their kind."""
    make = Objective.from_config if "projection" in config else prompt_objective
    asked = set()
    for kind in AGGREGATORS:
        config.aggregator.kind = kind
        make(Watched.of(config, asked))
    return asked


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_is_read(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    package = config.method.partition(":")[0]
    files = [
        ROOT / "configs" / f"{name}.py",
        *(file for part in (package, *COMMON) for file in (ROOT / part).rglob("*.py")),
    ]
    found = set(Schedule.__dataclass_fields__).union(*(reads(f.read_text("utf-8")) for f in files))
    if package == "aape_jax":
        found |= asked_by_aape(config)
    assert sorted(set(flatten(config)) - found) == []


@pytest.mark.parametrize("name", CONFIGS)
def test_every_field_is_documented(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    fields = read_fields(ROOT / "configs" / f"{name}.py")
    assert {field.name for field in fields} == set(flatten(config))
    assert [field.name for field in fields if not field.meaning] == []


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


def test_a_watched_config_notes_what_is_asked_for():
    asked = set()
    config = Watched.of(ConfigDict({"a": 1, "b": {"c": 2, "d": 3}, "e": 4}), asked)
    assert config.a + config.b.c + config["e"] == 7
    assert asked == {"a", "b.c", "e"}
