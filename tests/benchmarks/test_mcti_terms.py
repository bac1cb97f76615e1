"""The table of MC-TI's terms: what it runs, and how seeds become a row."""

import json

import pytest
from absl import flags

from benchmarks import mcti_terms
from common.errors import UserError
from configs.mcti import get_config


def rows(accuracy, **metrics):
    return {
        "mcti": {"accuracy": accuracy, **metrics},
        "linear_probe": {"accuracy": 0.5},
        "nearest_class_mean": {"accuracy": 0.4},
    }


def test_each_setting_is_a_row_above_the_baselines():
    drawn = {"generated/clip_i": 0.25}
    runs = {"a=1": [rows(0.1), rows(0.3)], "b=2": [rows(0.6, **drawn), rows(0.6, **drawn)]}
    lines = mcti_terms.table(runs).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0] == ["", "accuracy (%)", "CLIP-I (%)"]
    assert cells[2:] == [
        ["`a=1`", "20.0 ± 14.1", "-"],
        ["`b=2`", "60.0", "25.0"],
        ["linear_probe", "50.0", "-"],
        ["nearest_class_mean", "40.0", "-"],
    ]


def test_every_setting_of_every_world_has_its_own_folder(monkeypatch, tmp_path, capsys):
    asked = []

    def run(folder, world, seed, fields):
        asked.append((folder, world, seed, fields))
        return rows(0.5)

    monkeypatch.setattr(mcti_terms, "run", run)
    values = flags.FlagValues()
    monkeypatch.setattr(mcti_terms.flags, "FLAGS", values)
    flags.DEFINE_string("out", str(tmp_path), "", flag_values=values)
    flags.DEFINE_multi_string("world", ["pocket:a", "folder:b"], "", flag_values=values)
    flags.DEFINE_multi_string("term", ["vectors=1", "vectors=2"], "", flag_values=values)
    flags.DEFINE_integer("seeds", 2, "", flag_values=values)
    flags.DEFINE_string("base", "alpha=0", "", flag_values=values)
    values.mark_as_parsed()
    mcti_terms.main(())
    assert len({(folder, seed) for folder, _, seed, _ in asked}) == len(asked) == 8
    assert asked[0][1:] == ("pocket:a", 0, "alpha=0,vectors=1")
    written = json.loads((tmp_path / "terms.json").read_text())
    assert written["worlds"]["folder:b"]["vectors=2"] == [rows(0.5)] * 2
    assert capsys.readouterr().out.count("`vectors=2`") == 2


@pytest.mark.parametrize("fields", (mcti_terms.CHEAP, *mcti_terms.TERMS))
def test_its_own_fields_are_fields(fields):
    get_config(fields)


def test_a_field_that_is_none_is_refused(tmp_path):
    with pytest.raises(UserError, match="vectorz"):
        mcti_terms.run(tmp_path, "pocket:nameless", 0, "vectorz=2")
