"""What a run says of the aggregators that teach it."""

import numpy as np
import pytest

from aape_jax.core.aggregators import AGGREGATORS
from aape_jax.core.diagnostics import drifted, teacher_report
from aape_jax.core.objective import Objective, watched
from common.training import train
from common.training.method import find_method
from tests.aape.feature_files import features, texts
from tests.aape.problem import CLASSES, IMAGES, KEY, WIDTH, batch, settings
from tests.aape.test_class_features import config_of

pytestmark = pytest.mark.usefixtures("quick_compiler")
LEFT = "has left the prompts"
REMEDY = "Consider aggregator.kind=anchored or aggregator.anchor_weight above 0."


def line(prompts, image, own=True, **changes):
    metrics = {"teacher/cos_pa_pbar": prompts, "teacher/cos_pa_x": image}
    return drifted(Objective.from_config(settings(**changes)), metrics, own)


def test_a_teacher_that_left_the_prompts_is_named_with_what_it_went_to():
    paper = {"aggregator__kind": "paper"}
    assert line(0.79, 0.1, **paper).endswith(f"the aggregator {LEFT}. {REMEDY}")
    assert f"{LEFT} and fits the image, with a cosine of 0.82." in line(0.6, 0.82, **paper)
    assert "image" not in line(0.1, 0.2, **paper) and "image" not in line(0.7, 0.6, **paper)
    assert line(0.15, 0.1, own=False, **paper).endswith(f"{LEFT}.")
    assert line(0.81, 0.9, **paper) == ""


def test_a_mix_of_prompts_cannot_leave_them():
    said = {kind for kind in AGGREGATORS if line(0.1, 0.1, aggregator__kind=kind)}
    assert said == {"paper", "mlp"}


@pytest.mark.parametrize("changes", [{"loss__distill": False}, {"loss__lambda": 0.0}])
def test_a_teacher_that_teaches_nothing_is_not_spoken_of(changes):
    assert line(0.1, 0.1, aggregator__kind="paper", **changes) == ""


@pytest.mark.parametrize("several", [True, False])
def test_one_prompt_a_class_leaves_nothing_to_select(tmp_path, several, capsys):
    features(tmp_path)
    file = texts(tmp_path)
    if not several:
        with np.load(file) as arrays:
            bare = {name: arrays[name] for name in ("classnames", "class_features")}
        np.savez(file, **bare)
    train(find_method(config_of(tmp_path, "template")), tmp_path / "run")
    assert ("paper: the aggregated prompts have" in capsys.readouterr().out) == several


@pytest.mark.parametrize("kind", AGGREGATORS)
def test_attention_is_reported_of_teachers_that_have_one(kind):
    objective = Objective.from_config(settings(aggregator__kind=kind))
    params = objective.init(KEY, WIDTH, CLASSES, IMAGES)
    metrics, attention = teacher_report(objective, params, batch(), KEY)
    assert (attention is not None) == (kind != "mlp")
    of_attention = {"teacher/attention_entropy", "teacher/effective_prompts"}
    assert of_attention & set(metrics) == (of_attention if kind != "mlp" else set())


@pytest.mark.parametrize("kind", ["anchored", "paper", "mean", "random"])
def test_the_entropy_of_a_single_prompt_is_zero_without_a_sign(kind):
    objective = Objective.from_config(settings(aggregator__kind=kind))
    params = objective.init(KEY, WIDTH, CLASSES, IMAGES)
    images = batch()
    single = images.replace(prompts=images.prompts[:, :1], mask=images.mask[:, :1])
    found = watched(*objective.aggregate(params, single.prompted, KEY))
    assert not np.signbit(found["attention_entropy"]).any()
    np.testing.assert_array_equal(found["attention_entropy"], 0)
    np.testing.assert_array_equal(found["effective_prompts"], 1)
