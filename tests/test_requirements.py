"""What parses files of strangers is at or past its last known fix, here and in the oldest stack."""

import ast
import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = (ROOT / "setup.py").read_text("utf-8")
TABLE = dict(re.findall(r"^# \| ([a-z_-]+) +\| ([\d.]+) +\|", SETUP, re.MULTILINE))
BOUNDS = dict(
    re.findall(
        r"^([A-Za-z_-]+)(?:\[\w+\])?[>=]=([\d.]+)$",
        "\n".join(
            node.value
            for node in ast.walk(ast.parse(SETUP))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ),
        re.M,
    )
)
PINS = dict(
    re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".ci/colab-constraints.txt").read_text(), re.M)
)
FIXED = {"pillow": "13.0.0", "transformers": "5.10.0", "protobuf": "6.33.5", "torch": "2.6.0"}


def number(text):
    return tuple(map(int, text.split(".")))


@pytest.mark.parametrize("name", TABLE)
def test_the_table_is_what_is_asked_for(name):
    assert BOUNDS[name] == TABLE[name]
    assert number(PINS.get(name, BOUNDS[name])) >= number(BOUNDS[name])


@pytest.mark.parametrize("name", FIXED)
def test_known_fixes(name):
    assert number(BOUNDS[name]) >= number(FIXED[name])


@pytest.mark.parametrize("name", ["pillow", "transformers", "safetensors", "tokenizers", "numpy"])
def test_what_is_installed(name):
    assert number(version(name)) >= number(BOUNDS[name])
