"""The table of compiled programs: its cases, its checks, and that finished rows are kept."""

import json
import math
from types import SimpleNamespace

import jax
import pytest

from benchmarks import aot_table
from benchmarks.aot_cases import CONFIGS, CORPUS, TOPOLOGIES, XL_CHUNKS, Case, cases
from benchmarks.aot_table import COLUMNS, check, gradient_bytes, measure, table, table_row
from common.aot import DoesNotFit
from tests.aot import toy

CASE = Case("aape", "v5e-8", "classes=4")


@pytest.fixture(autouse=True)
def versions(monkeypatch):
    """A report names the compiler's version, which need not be installed."""
    monkeypatch.setattr("common.aot.report.version", lambda name: f"{name} 1.0")


def row(kind="all-reduce", sent=100.0):
    found = toy.report().to_dict()
    reduced = {"kind": kind, "count": 1, "bytes": 100, "largest": 100, "runs": 1.0, "sent": sent}
    return found | {"gradient": 200, "collectives": [reduced]}


def test_every_program_on_every_slice_once():
    found = cases()
    assert len({case.key for case in found}) == len(found)
    slices = {name: {case.slice for case in found if case.program == name} for name in CONFIGS}
    everywhere = {name: set(TOPOLOGIES) for name in CONFIGS}
    assert slices == everywhere | {"mcti on XL": set(XL_CHUNKS)}


def test_settings_are_fields_of_the_configs():
    for case in cases():
        config = case.config("corpus.json", "seed=3")
        assert config.seed == 3
        if CORPUS in case.settings:
            assert config.prompts.source == "json:corpus.json"


def test_captioning_spreads_its_model_over_all_chips_but_eight_at_most():
    for case in cases():
        if case.program == "captioning":
            mesh = case.config("", "").mesh
            chips = math.prod(int(side) for side in case.topology.partition(":")[2].split("x"))
            assert mesh.data * mesh.model == chips and mesh.model == min(8, chips)


def test_a_gradient_is_that_of_all_that_is_trained():
    assert gradient_bytes(toy.get_config("Shared"), jax.devices()[0]) == 4 * toy.WIDTH**2


def test_what_is_sent_is_checked():
    check(CASE, row())
    check(Case("captioning", "v5e-8", ""), row(kind="all-gather"))
    with pytest.raises(AssertionError, match="has all-gather"):
        check(CASE, row(kind="all-gather"))
    with pytest.raises(AssertionError, match=r"sends 200\.0 bytes of a 200-byte gradient"):
        check(Case("mcti", "v5e-8", ""), row(sent=200.0))


def test_a_row_has_a_cell_for_each_column():
    cells = table_row(CASE, row())
    assert len(cells) == len(COLUMNS) == len(table_row(CASE, {"needed": 20.1, "available": 15.7}))
    assert cells[COLUMNS.index("collectives")] == "1 all-reduce"
    assert cells[COLUMNS.index("least time, ms")] == "1"


def test_settings_that_differ_have_a_column():
    other = Case("aape", "v5e-8", "classes=8")
    assert "| v5e-8 | classes=8 |" in table({CASE: row(), other: row()})


def test_what_does_not_fit_is_a_row_too(monkeypatch):
    def compile_for(config, topology):
        raise DoesNotFit("too large", 20.0, 15.75)

    monkeypatch.setattr(aot_table, "compile_for", compile_for)
    monkeypatch.setattr(aot_table, "topology_devices", lambda topology: jax.devices())
    assert measure(CASE, "", "") == {"needed": 20.0, "available": 15.75}


def test_finished_rows_are_kept(monkeypatch, tmp_path, capsys):
    compiled = []
    monkeypatch.setattr(aot_table, "measure", lambda case, *_: compiled.append(case) or row())
    monkeypatch.setattr(aot_table, "cases", lambda: [CASE, Case("aape", "v5e-1", "classes=4")])
    file = tmp_path / "aot.json"

    def run(only):
        options = SimpleNamespace(only=only, results=file, corpus="", override="", list=False)
        monkeypatch.setattr(aot_table.flags, "FLAGS", options)
        aot_table.main([])
        return capsys.readouterr().out

    assert "`classes=4`\n\n| slice | HBM peak" in run("v5e-8")
    assert run("").count("| v5e-") == 2
    assert [case.slice for case in compiled] == ["v5e-8", "v5e-1"]
    assert list(json.loads(file.read_text())) == ["aape v5e-8 classes=4", "aape v5e-1 classes=4"]
