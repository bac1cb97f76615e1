"""What a visitor of the repository meets says what the checks and the packages do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
CI = (ROOT / ".ci" / "run").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
SETUP = (ROOT / "setup.py").read_text("utf-8")
WORKFLOW = yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text("utf-8"))
TOOLS = ("pytest", "ruff")


def texts(value: Any) -> Iterator[str]:
    """Every `run` below a part of the workflow, of steps and of the matrix."""
    if isinstance(value, dict):
        yield from [value["run"]] if "run" in value else []
        value = [*value.values()]
    for item in value if isinstance(value, list) else []:
        yield from texts(item)


def checks(script: str) -> set[str]:
    """The commands of a script that check something, each in one line."""
    lines = re.sub(r"\\\n", " ", script).splitlines()
    commands = {" ".join(line.split()) for line in lines}
    return {command for command in commands if command.split(" ")[0] in TOOLS}


def test_the_workflow_runs_the_checks_of_ci():
    # The one command that .ci/run takes from the README.
    [plain] = re.findall(r"^pip install -e '\.\[test\]' && (pytest)$", README, re.MULTILINE)
    assert checks("\n".join(texts(WORKFLOW["jobs"]))) == checks(CI) | {plain}
    assert len(checks(CI)) == 10


def test_the_workflow_runs_the_main_job_as_the_readme_has_it():
    [command] = re.findall(r"^pip install -e \. && python .*$", README, re.MULTILINE)
    assert command in texts(WORKFLOW["jobs"])


def test_the_workflow_s_environment_is_that_of_ci():
    for name, value in WORKFLOW["env"].items():
        assert re.search(rf"^export .*\b{name}={value}\b", CI, re.MULTILINE), name


def test_the_workflow_s_pythons_and_extras_exist():
    parts = WORKFLOW["jobs"]["parts"]["strategy"]["matrix"]["include"]
    assert {part.get("python", "3.11") for part in parts} == {"3.11", "3.13"}
    for part in parts:
        assert f"Python :: {part.get('python', '3.11')}" in SETUP
        for extra in part["extras"].split(","):
            assert f'        "{extra}": ' in SETUP
        if "constraints" in part:
            assert (ROOT / part["constraints"].removeprefix("-c ")).is_file()


def test_one_ruff_formats_here_and_before_commits():
    [hooks] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert f'"ruff=={hooks["rev"].removeprefix("v")}"' in SETUP
    assert [hook["id"] for hook in hooks["hooks"]] == ["ruff-check", "ruff-format"]


@pytest.mark.parametrize(
    ("name", "asked"),
    [("bug", {"command", "output", "expected", "versions"}), ("feature", {"aim", "now"})],
)
def test_an_issue_is_asked_for_what_answers_need(name, asked):
    form = yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml").read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    required = {x["id"] for x in form["body"] if x.get("validations", {}).get("required")}
    assert required == asked


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files(file):
    links = re.findall(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"", (ROOT / file).read_text("utf-8"))
    own = [link for pair in links for link in pair if link and not link.startswith("https://")]
    assert own
    for link in own:
        assert (ROOT / link.partition("#")[0]).exists(), link


def test_no_name_waits_to_be_filled_in():
    shown = [ROOT / "setup.py", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    shown += [*ROOT.glob("colab/*"), *GITHUB.rglob("*.*"), ROOT / "CITATION.cff"]
    waiting = re.compile(r"YOUR_|TODO")
    assert [x.name for x in shown if x.is_file() and waiting.search(x.read_text("utf-8"))] == []
