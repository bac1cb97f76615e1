"""The forms that are compared, and when a claim counts as shown."""

import numpy as np
import pytest

from aape_jax.core.objective import Objective
from benchmarks.aape_claims import CLAIMS, METHODS, tables, verdict
from benchmarks.aape_form_tables import TABLES
from common.config import changed
from configs.aape import get_config

WORSE = {"base/": np.array([0.5, 0.6, 0.7]), "new/": np.array([0.5, 0.6, 0.7])}


@pytest.mark.parametrize("table", TABLES)
def test_forms_change_fields_that_there_are(table):
    config = get_config("subsample=base")
    for fields in TABLES[table].values():
        assert Objective.from_config(changed(config, fields))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ([0.1, 0.1, 0.1], "shown (+10.0 ± 0.0)"),
        ([-0.1, -0.1, -0.1], "the reverse (-10.0 ± 0.0)"),
        ([0.1, 0.0, -0.04], "not shown (+2.0 ± 4.2)"),
    ],
)
def test_seeds_are_compared_one_by_one(change, expected):
    better = {name: values + change for name, values in WORSE.items()}
    assert verdict(WORSE, better) == expected


def test_each_claim_is_about_a_row_of_the_table():
    results = dict.fromkeys(("CLIP", "CuPL", "AAPE", *METHODS), WORSE)
    assert {name for claim in CLAIMS for name in claim} <= set(results)
    text = tables({"pocket:rare": results})
    assert text.count("not shown (+0.0 ± 0.0)") == len(CLAIMS)
    assert "| CuPL < AAPE" in text and "60.0 ± 10.0 / 60.0 ± 10.0 (60.0)" in text
