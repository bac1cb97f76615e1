"""The tables of AAPE's parts: what they run, and how seeds become a cell."""

import pytest

from aape_jax.classification.recipes import check_applied
from aape_jax.core.presets import VARIANTS
from benchmarks import aape_pocket
from common.config import apply_arg
from configs.aape import get_config


def rows(seed):
    return {
        "aape": {"base/accuracy": 0.8 + 0.1 * seed, "new/accuracy": 0.5},
        "clip": {"base/accuracy": 0.4, "new/accuracy": 0.6},
        "tip_adapter": {"base/accuracy": 0.7},
    }


@pytest.fixture
def asked(monkeypatch):
    found = []

    def run(folder, seed, fields, base):
        found.append((folder.name, seed, fields))
        return rows(seed)

    monkeypatch.setattr(aape_pocket, "run", run)
    return found


def test_the_main_table_has_all_rows_and_h_of_the_means(asked, tmp_path):
    text = aape_pocket.table("main", tmp_path, 2, "").splitlines()
    cells = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in text[2:]}
    assert [cell.strip() for cell in cells["aape"]] == ["95.0 ± 7.1", "50.0", "65.5"]
    assert [cell.strip() for cell in cells["tip_adapter"]] == ["70.0", "-", "-"]
    assert [seed for _, seed, _ in asked] == [1, 2]


def test_sweeps_stand_side_by_side(asked, tmp_path):
    text = aape_pocket.table("shots", tmp_path, 1, "").splitlines()
    assert [cell.strip() for cell in text[0].split("|")[2:-1]] == ["1", "2", "4", "8", "16"]
    assert [line.split("|")[1].strip() for line in text[2:]] == ["clip", "aape"]
    assert text[3].count("90.0 / 50.0") == 5
    assert [name for name, _, _ in asked] == ["1", "2", "4", "8", "16"]


@pytest.mark.parametrize("name", aape_pocket.TABLES)
def test_all_settings_are_configs(name):
    for fields in aape_pocket.TABLES[name].values():
        config = apply_arg(get_config(), fields)
        check_applied(config)
        assert set(config.compare) <= set(VARIANTS)
        assert config.updates % config.steps_per_call == 0
