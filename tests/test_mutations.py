"""The lists of mutations keep up with the code that they break."""

from importlib import import_module

import pytest

from tests.aape.mutations import MUTATIONS as AAPE
from tests.mcti.mutations import MUTATIONS as MCTI
from tests.mutations import ROOT, Mutation
from tests.protext.mutations import MUTATIONS as PROTEXT

HOSTILE = [
    mutation
    for file in sorted((ROOT / "tests/hostile").glob("mutations_*.py"))
    for mutation in import_module(f"tests.hostile.{file.stem}").MUTATIONS
]


@pytest.mark.parametrize("mutation", (*MCTI, *PROTEXT, *AAPE, *HOSTILE), ids=lambda x: x.name)
def test_what_a_mutation_changes_stands_in_the_code(mutation: Mutation):
    assert (ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.before) == 1
    assert (ROOT / "tests" / mutation.test).is_file()
