import pytest

from common.language import load_lm
from tools.pocket.lm_measures import SHOTS, measure_lm

pytestmark = pytest.mark.usefixtures("quick_compiler")


def test_the_bundled_model_answers_nearly_everything():
    figures = measure_lm(load_lm("pocket"), 20, 1)
    assert all(figures[f"answers/accuracy_{shots}_shot"] >= 0.9 for shots in SHOTS)
    assert figures["caption/nats_per_token_behind_a_full_one"] < 0.8
    assert figures["caption/nats_per_token_alone"] > 1
