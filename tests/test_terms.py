import re
import subprocess
import sys

import pytest

from common.packages import METHODS
from common.terms import COMMON, Terms, terms_of


def test_a_methods_own_words_come_first_and_win():
    own = Terms({"mine": "my row"}, {"accuracy": "my accuracy"}, {})
    both = own.over(COMMON)
    assert list(both.rows) == ["mine", *COMMON.rows]
    assert (
        both.metrics["accuracy"] == "my accuracy" and both.metrics["loss"] == COMMON.metrics["loss"]
    )
    assert both.pictures == COMMON.pictures


@pytest.mark.parametrize("package", METHODS)
def test_every_method_says_its_own(package):
    terms = terms_of(f"{package}:Anything")
    assert package.removesuffix("_jax") in terms.rows and "confusion" in terms.pictures
    assert terms_of(f"{package}.method:Anything") == terms


@pytest.mark.parametrize("package", METHODS)
def test_no_metric_counts_the_templates_that_a_field_chooses(package):
    for text in terms_of(f"{package}:Anything").metrics.values():
        assert not re.search(r"\d+ (prompts|templates)", text), text


@pytest.mark.parametrize("method", ["", "elsewhere.methods:Probe"])
def test_other_packages_are_not_imported_and_have_the_terms_of_all(method):
    terms = terms_of(method)
    assert {package.removesuffix("_jax") for package in METHODS} <= set(terms.rows)
    assert terms.metrics["accuracy"] == COMMON.metrics["accuracy"]


def test_terms_are_read_without_the_methods_themselves():
    script = (
        "import sys; from common.terms import terms_of; terms_of(''); "
        "sys.exit(any(name in sys.modules for name in ('jax', 'numpy', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
