import numpy as np
import pytest

from common.data.few_shot import class_rows, few_shot, shortfall, shortfall_row
from common.data.splits import FeatureSplit
from common.errors import UserError


def split(labels: list[int]) -> FeatureSplit:
    rows = np.arange(len(labels), dtype=np.float32)[:, None]
    return FeatureSplit(labels=np.asarray(labels), features=rows)


LABELS = [0, 1] * 20 + [2] * 3


def rows_of(chosen: FeatureSplit) -> list[int]:
    return chosen.features[:, 0].astype(int).tolist()


def test_draws_that_many_of_each_class_without_repetition():
    chosen = few_shot(split(LABELS), 5, seed=1)

    assert chosen.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 3
    assert len(set(rows_of(chosen))) == 13
    assert [LABELS[row] for row in rows_of(chosen)] == chosen.labels.tolist()


def test_the_seed_decides():
    assert rows_of(few_shot(split(LABELS), 5, 1)) == rows_of(few_shot(split(LABELS), 5, 1))
    assert rows_of(few_shot(split(LABELS), 5, 1)) != rows_of(few_shot(split(LABELS), 5, 2))


def test_the_draw_is_the_same_on_every_machine():
    # Pinned: a published seed must keep naming the same photos.
    assert rows_of(few_shot(split(LABELS), 2, 0)) == PINNED


PINNED = [8, 38, 21, 1, 42, 41]


def test_classes_do_not_draw_alike():
    chosen = few_shot(split(LABELS), 5, 1)
    position = [row // 2 for row in rows_of(chosen)]

    assert position[:5] != position[5:10]


def test_every_example_can_be_drawn():
    drawn = {row for seed in range(60) for row in rows_of(few_shot(split(LABELS), 2, seed))}

    assert drawn == set(range(len(LABELS)))


def test_fewer_shots_are_the_beginning_of_more():
    few = few_shot(split(LABELS), 2, 3)
    more = few_shot(split(LABELS), 8, 3)

    for label in range(3):
        own = more.features[more.labels == label]
        assert np.array_equal(few.features[few.labels == label], own[:2])


def test_other_classes_do_not_change_a_draw():
    alone = few_shot(split([0] * 9), 3, 5)
    among = few_shot(split([0] * 9 + [1] * 4), 3, 5)

    assert rows_of(alone) == rows_of(among)[:3]


@pytest.mark.parametrize(("shots", "seed"), [(0, 0), (-1, 0), (1, -1)])
def test_impossible_draws_are_refused(shots: int, seed: int):
    with pytest.raises(UserError, match=r"=(0|-1) "):
        few_shot(split(LABELS), shots, seed)


def test_shortfall_names_ragged_classes():
    chosen = few_shot(split(LABELS), 5, 1)

    assert shortfall(chosen, 5, ["a", "b", "c", "d"]) == {"c": 3, "d": 0}
    assert shortfall(chosen, 3, ["a", "b", "c"]) == {}
    said = {"fewer": "c 3, d 0 in place of 5"}
    assert shortfall_row(chosen, 5, ["a", "b", "c", "d"]) == said
    assert shortfall_row(chosen, 5, ["a", "b", "", ""]) == {}
    assert shortfall_row(chosen, 0, ["a", "b", "c", "d"]) == {"fewer": "d 0 in place of 1"}


def test_class_rows_are_padded_with_rows_of_the_same_class():
    grouped = class_rows(np.asarray([1, 0, 1, 1]), 2)

    assert grouped.rows.tolist() == [[1, 1, 1], [0, 2, 3]]
    assert grouped.counts.tolist() == [1, 3]
    with pytest.raises(UserError, match="class number 2 has no examples"):
        class_rows(np.asarray([0, 1]), 3)
