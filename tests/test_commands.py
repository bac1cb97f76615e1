"""What every command says of itself and how it ends."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.packages import PACKAGES

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__"): file
    for package in (*PACKAGES, "tools")
    for file in sorted((ROOT / package).rglob("*.py"))
    if "\n    run_command(main" in file.read_text("utf-8")
}


def own_flags(tree: ast.Module) -> dict[str, str]:
    """The flags that a command defines, with what each says of itself."""
    calls = [
        [x.value for x in node.args if isinstance(x, ast.Constant) and isinstance(x.value, str)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("DEFINE_")
    ]
    return {texts[0]: texts[-1] for texts in calls}


def test_all_commands_are_found():
    assert {"mcti_jax.train", "aape_jax.evaluate", "common.aot", "common.report"} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_command_explains_itself(name):
    tree = ast.parse(FILES[name].read_text("utf-8"))
    text = ast.get_docstring(tree)
    assert f"python -m {name} " in text, "no usage"
    _, _, example = text.partition("For example")
    assert f"python -m {name} " in example and "DIR" not in example, "no example"
    defined = own_flags(tree)
    for flag, meaning in defined.items():
        assert f"--{flag}" in text and len(meaning) > 3, f"--{flag} is not explained"
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    assert "define_flags" in names, "the flags are defined where --help does not look"
    if name.endswith(".train"):
        assert "python -m common.fields configs/" in text


def run(*command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", *command]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)


def check_help(name: str) -> None:
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"python -m {name} " in done.stdout
    tree = ast.parse(FILES[name].read_text("utf-8"))
    shown = [
        "version",
        *own_flags(tree),
        *(["config", "workdir"] if name.endswith(".train") else []),
    ]
    for flag in shown:
        assert f"--{flag}:" in done.stdout or f"--[no]{flag}:" in done.stdout, flag


def test_help_shows_the_flags_and_succeeds():
    check_help("common.fields")


# Forks, so that each command begins with what Python itself has imported.
LIGHT = """
import os, sys
from tests.hostile.commands import run

HEAVY = {"jax", "flax", "optax", "orbax", "torch", "transformers"}

def check(status, *command):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, command
        return
    done = run(*command)
    heavy = HEAVY & set(sys.modules)
    if done.status != status or heavy:
        print(command, heavy, done, flush=True)
        os._exit(1)
    os._exit(0)

for name in sys.argv[1].split(","):
    check(0, name, "--help")
    check(2, name, "--nonsense=1")
for method in ("mcti", "protext", "aape"):
    config = f"--config=configs/{method}.py"
    check(2, f"{method}_jax.train", f"{config}:updates=many", "--workdir=x")
    check(2, f"{method}_jax.train", f"{config}:nonsense=1", "--workdir=x")
    check(2, f"{method}_jax.train", config, "--config.seed=many", "--workdir=x")
"""


def test_help_and_mistakes_are_told_before_anything_heavy_is_imported():
    names = [name for name in FILES if not name.startswith("tools.")]
    line = [sys.executable, "-c", LIGHT, ",".join(names)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.multiprocess
@pytest.mark.parametrize("name", FILES)
def test_help_of(name):
    check_help(name)
