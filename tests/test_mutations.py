"""The lists of mutations keep up with the code that they break."""

import importlib

import pytest

from tests.mutations import ROOT, Mutation

pytestmark = pytest.mark.mutations

LISTS = sorted((ROOT / "tests").glob("*/mutations*.py"))
MUTATIONS = [
    mutation
    for file in LISTS
    for mutation in importlib.import_module(f"tests.{file.parent.name}.{file.stem}").MUTATIONS
]


def test_all_lists_are_found():
    assert {"aape", "hostile", "mcti", "protext"} <= {file.parent.name for file in LISTS}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda x: x.name)
def test_what_a_mutation_changes_stands_in_the_code(mutation: Mutation):
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.before) == 1
    assert (ROOT / "tests" / mutation.test).is_file()
