import pytest

from common.errors import UserError
from common.training.schedule import Schedule


def make(**fields) -> Schedule:
    defaults = {"updates": 10, "steps_per_call": 4, "log_every": 4, "save_every": 8}
    return Schedule(**{**defaults, "eval_every": 0, **fields})


def test_calls_end_at_multiples_and_at_the_end():
    assert list(make().calls(0)) == [range(4), range(4, 8), range(8, 10)]


def test_calls_from_the_middle_fall_into_step():
    assert list(make().calls(5)) == [range(5, 8), range(8, 10)]
    assert list(make().calls(10)) == []


def test_what_is_due_when():
    schedule = make(eval_every=4)
    assert [s for s in range(11) if schedule.logs_at(s)] == [0, 4, 8, 10]
    assert [s for s in range(1, 11) if schedule.saves_at(s)] == [8, 10]
    assert [s for s in range(11) if schedule.evaluates_at(s)] == [4, 8, 10]
    assert [s for s in range(1, 11) if schedule.pauses_at(s)] == [4, 8, 10]


def test_zero_means_at_the_end_only():
    schedule = make(save_every=0)
    assert [s for s in range(1, 11) if schedule.saves_at(s)] == [10]
    assert [s for s in range(11) if schedule.evaluates_at(s)] == [10]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"updates": 0}, "updates=0 is out of range: give a number of at least 1"),
        ({"steps_per_call": -1}, "steps_per_call=-1"),
        ({"log_every": 0}, "log_every=0"),
        ({"save_every": -4}, "save_every=-4 is out of range: give a number of at least 0"),
        ({"eval_every": 6}, "eval_every=6 is not a multiple of steps_per_call=4"),
    ],
)
def test_bad_fields_are_refused(fields, message):
    with pytest.raises(UserError, match=message):
        make(**fields)
