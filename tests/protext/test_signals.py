"""What text alone tells, and how a sweep's run is chosen by it."""

import numpy as np
import pytest

from protext_jax.method import ProText
from protext_jax.runs import RunSetting
from protext_jax.signals import Sentences, rank, similarity_picture
from protext_jax.sweep import check_choice_of_runs, choose, sweep_table
from tests.protext.tiny import settings

EYE = np.eye(3, dtype=np.float32)
# Two sentences about class 0, one about class 1; one held out of each.
SENTENCES = Sentences(EYE[[0, 0, 1]], np.array([0, 0, 1]), EYE[[0, 2]], np.array([0, 1]))


def test_scores():
    classes = np.stack([EYE[0], (EYE[1] + EYE[2]) / np.sqrt(2)]).astype(np.float32)
    found = SENTENCES.scores(classes)
    half = np.sqrt(0.5)
    assert found == pytest.approx(
        {
            "text/cosine": (1 + half) / 2,
            "text/least_cosine": half,
            "text/retrieval_accuracy": 1.0,
            "text/held_out_cosine": (1 + half) / 2,
        }
    )
    assert SENTENCES.scores(EYE[:2])["text/retrieval_accuracy"] == 0.5


def test_without_held_out_sentences_there_is_no_retrieval():
    alone = Sentences(SENTENCES.targets, SENTENCES.label, EYE[:0], np.array([], int))
    assert set(alone.scores(EYE[:2])) == {"text/cosine", "text/least_cosine"}
    assert rank(alone.scores(EYE[:2])) == (0, 0)


def test_the_picture_shows_before_after_and_what_is_wanted():
    before, after, names = np.ones((2, 3), np.float32), EYE[:2], ["cat", "dog"]
    picture = similarity_picture(SENTENCES, before, after, names)
    dark = [
        (picture[..., 0] < 50)[:, part].sum()
        for part in np.array_split(np.arange(picture.shape[1]), 3)
    ]
    assert picture.dtype == np.uint8 and picture.shape[1] > 720
    assert dark[0] > 0 and not np.array_equal(
        similarity_picture(SENTENCES, after, after, names), picture
    )


def found(*retrieval):
    return [{"text/retrieval_accuracy": x, "text/held_out_cosine": 0.5} for x in retrieval]


def test_a_sweep_keeps_the_setting_whose_seeds_do_best():
    runs = [RunSetting(rate, 9, seed) for rate in (0.1, 0.2) for seed in (1, 2)]
    metrics = found(1.0, 0.2, 0.7, 0.7)  # the best single run is of the worse setting
    assert choose(runs, metrics) == 2
    assert choose(runs, [{}] * 4) == 0
    table = sweep_table(runs, {"details": {"sweep": metrics, "chosen": 2}}).splitlines()
    assert len(table) == 4
    assert "60.0 ± 56.6" in table[2] and " 70.0 |" in table[3]
    assert table[3].rstrip(" |").endswith("*") and "*" not in table[2]


HELD_OUT = {"eval_every": 1, "held_out": 1, "updates": 1}
"""What stopping early goes by; of given updates no text is read to count them."""


@pytest.mark.parametrize(
    ("patience", "retrieval", "stops"),
    [
        (0, (0.9, 0.1, 0.1), False),
        (1, (0.5,), False),
        (1, (0.5, 0.6), False),
        (1, (0.5, 0.5), True),
        (2, (0.5, 0.4), False),
        (2, (0.5, 0.4, 0.5), True),
        (2, (0.5, 0.4, 0.6), False),
    ],
)
def test_when_to_stop(patience, retrieval, stops):
    method = ProText(settings(early_stop=patience, **HELD_OUT))
    assert method.stops(found(*retrieval)) is stops


def test_a_run_that_may_stop_early_does_not_change_when_it_is_asked():
    assert ProText(settings(early_stop=1, **HELD_OUT)).decisive == ("eval_every",)
    assert not ProText(settings(**HELD_OUT)).decisive


@pytest.mark.parametrize(("gain", "stops"), [(0.0, False), (0.005, False), (0.02, True)])
def test_a_cosine_that_hardly_rises_is_no_gain(gain, stops):
    rising = [{"text/retrieval_accuracy": 1.0, "text/held_out_cosine": x} for x in (0.5, 0.51)]
    method = ProText(settings(early_stop=1, early_stop_gain=gain, **HELD_OUT))
    assert method.stops(rising) is stops
    more = [*rising, {"text/retrieval_accuracy": 1.0, "text/held_out_cosine": 0.6}]
    assert not method.stops(more)


def test_a_sweep_says_where_nothing_chooses():
    seeds = [RunSetting(0.03, 8, seed) for seed in (0, 1)]
    several = [*seeds, RunSetting(0.03, 9, 0)]
    (line,) = check_choice_of_runs(several, held_out=0)
    assert "the first of the 2 settings is kept" in line
    assert check_choice_of_runs(seeds, held_out=0) == check_choice_of_runs(several, 1) == []
