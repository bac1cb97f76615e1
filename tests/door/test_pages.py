"""The Python of the pages runs, and what it shows is what the commands count."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.packages import METHODS
from tests.door import pages

# As long as a notebook; and what a notebook is to others, the page is to readers.
pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def place(tmp_path_factory, quick_compiler):
    """An empty folder to run a page in, whose caches are nobody else's."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def library(place):
    return pages.run("docs/library.md")


def test_there_are_a_dozen_snippets_and_more():
    assert len(pages.snippets("docs/library.md")) >= 12


def test_the_page_of_the_library_runs(library):
    assert library["accuracy"] > 0.5
    assert [picture.size for picture in library["pictures"]] == [(32, 32)] * 4


@pytest.mark.parametrize("method", METHODS)
def test_classify_counts_as_evaluate_does(library, place, method):
    folder = {"mcti_jax": "mcti", "protext_jax": "protext", "aape_jax": "aape"}[method]
    result = json.loads(Path(place / "runs" / folder / "result.json").read_text())
    test = library["data"].test
    run = library[method].load(place / "runs" / folder)
    found = run.classify([test.load(row) for row in range(len(test))])
    assert found.classnames == library["data"].classnames
    assert np.mean(found.labels == test.labels) == result["metrics"]["accuracy"]


def test_the_lines_of_the_readme_run(place):
    assert len(pages.snippets("README.md")) == 1
    pages.run("README.md")
