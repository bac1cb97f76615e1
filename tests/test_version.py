"""The version stands in one place."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from common.packages import PACKAGES
from common.version import __version__

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_its_version(package):
    assert importlib.import_module(package).__version__ == __version__


def test_setup_says_it():
    pytest.importorskip("setuptools")  # New environments of Python 3.12 and later lack it.
    command = [sys.executable, "setup.py", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == __version__


def test_no_other_file_says_it():
    folders = (*PACKAGES, "configs", "benchmarks")
    files = [ROOT / "setup.py", *(file for name in folders for file in (ROOT / name).rglob("*.py"))]
    saying = [file for file in files if f'"{__version__}"' in file.read_text("utf-8")]
    assert saying == [ROOT / "common" / "version.py"]


def test_the_citation_is_of_this_version_and_names_the_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= citation.keys()
    assert citation["version"] == __version__
    numbers = [number["value"] for x in citation["references"] for number in x["identifiers"]]
    assert numbers == ["arXiv:2410.22317", "arXiv:2401.02418", "arXiv:2410.23698"]
    readme = (ROOT / "README.md").read_text("utf-8")
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        assert reference["url"] in readme


def test_the_changelog_begins_with_what_is_not_released():
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    assert next(line for line in lines if line.startswith("## ")) == "## Unreleased"
