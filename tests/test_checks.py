"""Numbers within bounds, names out of a table, and tables that name fields which are there."""

import math

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import mcti_jax.options
import protext_jax.options
import protext_jax.plan
from aape_jax.captioning import stages
from aape_jax.core.aggregators import table
from common.checks import POSITIVE, Range, check_choices, check_ranges, check_whole
from common.errors import UserError
from common.training.config_fields import RANGES as SHARED
from common.values import flatten
from configs import aape, aape_captioning, mcti, protext


@pytest.mark.parametrize(
    ("allowed", "text"),
    [
        (Range(), "a finite number"),
        (Range(1), "a number of at least 1"),
        (Range(high=0.5), "a number up to 0.5"),
        (Range(0, 4), "a number from 0 to 4"),
        (POSITIVE, "a number above 0"),
        (Range(0, 1, above=True), "a number above 0 and up to 1"),
    ],
)
def test_what_a_range_is_called(allowed, text):
    assert str(allowed) == text


@pytest.mark.parametrize("value", [0, 0.0, 1, np.int64(1), np.float32(0.5)])
def test_numbers_of_a_range(value):
    assert Range(0, 1).holds(value)
    assert POSITIVE.holds(value) is bool(value > 0)


@pytest.mark.parametrize("value", [None, True, "1", math.nan, math.inf, -math.inf, (0,)])
def test_what_is_in_no_range(value):
    assert not Range().holds(value)


@pytest.mark.parametrize("value", [None, "1", 1.0, jax.random.key(0), np.eye(2)])
def test_what_is_not_whole_is_shown_on_one_line(value):
    check_whole("seed", np.uint8(3), Range(0, 3))
    with pytest.raises(UserError, match=r"^seed=.* is not a whole number\.$"):
        check_whole("seed", value, Range())


@pytest.mark.parametrize("value", [True, 4, -1])
def test_whole_numbers_out_of_a_range(value):
    with pytest.raises(UserError, match=f"^seed={value} is out of range: give a number from 0 to"):
        check_whole("seed", value, Range(0, 3))


def test_a_group_is_named_in_the_sentence():
    config = ConfigDict({"tau": 0.0, "kind": "x"})
    with pytest.raises(UserError, match=r"^loss\.tau=0\.0 is out of range: give a number above 0"):
        check_ranges(config, {"tau": POSITIVE}, "loss.")
    with pytest.raises(UserError, match=r"^loss\.kind='x' is unknown; choose one of a, b\.$"):
        check_choices(config, {"kind": ("a", "b")}, "loss.")


@pytest.mark.parametrize("value", ["c", None, ""])
def test_names_of_nothing(value):
    with pytest.raises(UserError, match="is unknown; choose one of a, b"):
        check_choices(ConfigDict({"kind": value}), {"kind": {"a": 1, "b": 2}})


def test_every_name_of_a_list_is_looked_at():
    check_choices(ConfigDict({"names": ("a", "b")}), {"names": ("a", "b"), "absent": ()})
    with pytest.raises(UserError, match="names='c' is unknown"):
        check_choices(ConfigDict({"names": ("a", "c")}), {"names": ("a", "b")})


# A name that a config lacks is passed over, so a misspelt one would check nothing.
TABLES = {
    "mcti numbers": (mcti, mcti_jax.options.RANGES.keys() - SHARED.keys(), ""),
    "mcti names": (mcti, mcti_jax.options.NAMES, ""),
    "protext numbers": (protext, protext_jax.options.RANGES, ""),
    "protext names": (protext, protext_jax.plan.CHOICES, ""),
    "stages": (aape_captioning, stages.RANGES, ""),
    "aggregator numbers": (aape, table.RANGES, "aggregator."),
    "aggregator names": (aape, table.CHOICES, "aggregator."),
}


@pytest.mark.parametrize(("configs", "names", "group"), TABLES.values(), ids=TABLES)
def test_tables_name_fields_of_their_config(configs, names, group):
    assert {group + name for name in names} <= flatten(configs.get_config()).keys()


def test_shared_bounds_are_of_fields_that_some_config_has():
    made = (module.get_config() for module in (mcti, protext, aape, aape_captioning))
    assert SHARED.keys() <= {name for config in made for name in flatten(config)}
