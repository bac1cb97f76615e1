"""What the paper leaves open: a field each, with its default, and something that it changes."""

import json

import numpy as np
import pytest

from aape_jax.classification.corpus import read_corpus
from aape_jax.classification.inputs import training_split
from aape_jax.classification.recipes import class_template, with_defaults
from aape_jax.core.objective import Objective
from aape_jax.core.optimizer import counts
from common.config import flatten
from common.data import open_dataset
from common.errors import UserError
from common.protocols.class_parts import class_parts
from configs.aape import defaults, get_config
from tests.aape.feature_files import features
from tests.aape.problem import settings

# Field, default, another value, and what else must be set for it to matter.
OF_THE_METHOD = (
    ("aggregator.kind", "anchored", "mlp", {}),
    ("aggregator.token", "class", "image", {}),
    ("aggregator.heads", 1, 2, {}),
    ("aggregator.ffn_mult", 4, 2, {"aggregator.kind": "paper"}),
    ("aggregator.norm", "pre", "post", {"aggregator.kind": "paper"}),
    ("aggregator.reward_scale", 2.5, 1.0, {}),
    ("aggregator.reward_clamp", True, False, {}),
    ("aggregator.reward_weight", 1.0, 0.5, {}),
    ("aggregator.anchor_weight", 0.0, 1.0, {}),
    ("aggregator.num_outputs", 1, 2, {}),
    ("generator.hidden", 256, 0, {}),
    ("generator.bias", False, True, {}),
    ("generator.residual", "image", "none", {}),
    ("projection.kind", "bottleneck", "fc", {}),
    ("projection.hidden", 32, 64, {}),
    ("projection.residual_alpha", 0.2, 0.5, {}),
    ("projection.zero_init", True, False, {}),
    ("projection.out_relu", False, True, {}),
    ("classifier.mode", "aape_only", "template_and_aape", {}),
    ("loss.distill", True, False, {}),
    ("loss.distance", "sq_l2", "cos", {}),
    ("loss.lambda", 1.0, 3.0, {}),
    ("loss.distill_stop_grad", True, False, {}),
    ("loss.normalize_target", True, False, {}),
    ("loss.normalize_pred", False, True, {}),
    ("loss.reduce", "sum", "mean", {}),
    ("loss.tau", 0.01, 0.1, {}),
)


def changed(**fields):
    return settings(**{name.replace(".", "__"): value for name, value in fields.items()})


@pytest.mark.parametrize(("name", "default", "other", "beside"), OF_THE_METHOD)
def test_switches_of_the_method(name, default, other, beside):
    assert flatten(defaults())[name] == default
    usual, found = (
        Objective.from_config(changed(**beside, **{name: value})) for value in (default, other)
    )
    assert usual != found


def test_switches_of_the_prompts(tmp_path):
    file = tmp_path / "prompts.json"
    file.write_text(json.dumps({"cat": [f"{number}" for number in range(20)]}))

    def sentences(**fields):
        return read_corpus(changed(**{"prompts.source": f"json:{file}", **fields}), "x:y", ["cat"])

    fields = flatten(defaults())
    assert (fields["prompts.per_template"], fields["prompts.seed"]) == (10, 0)
    assert len(sentences()[0]) == 20
    three = {"prompts.per_template": 3}
    assert len(sentences(**three)[0]) == 6
    assert sentences(**three) != sentences(**three, **{"prompts.seed": 1})


def test_switch_of_the_template():
    assert defaults().classifier.template == "plain"
    found = [
        class_template(template, "coop:data/oxford_pets") for template in ("plain", "coop", "{}!")
    ]
    assert found == ["a photo of a {}", "a photo of a {}, a type of pet.", "{}!"]
    assert class_template("coop", "coop:data/imagenet-sketch") == "a photo of a {}."
    with pytest.raises(UserError, match="CoOp has no template for 'folder:mine'"):
        class_template("coop", "folder:mine")
    with pytest.raises(UserError, match=r"needs one \{\} for the class name"):
        class_template("a photo", "folder:mine")


def test_switches_of_the_data(tmp_path):
    dataset = open_dataset(f"features:{features(tmp_path)}")
    config = defaults()
    papers = with_defaults(config)
    assert (papers.shots, papers.shots_seed, papers.subsample) == (16, 1, "base")
    config.data = "folder:mine"
    own = with_defaults(config)
    assert (own.shots, own.subsample, own.protocol) == (0, "all", "all_classes")
    assert set(class_parts("base", 6)) == {"base/", "new/"}
    assert set(class_parts("all", 6)) == {""} and set(class_parts("new", 6)) == {"new/"}

    def photos(**fields):
        return training_split(changed(**fields), dataset, np.arange(3))

    assert len(photos(shots=2)) == 6
    first, second = (photos(shots=2, shots_seed=seed).features for seed in (1, 2))
    assert not np.array_equal(first, second)


def test_switch_of_the_schedule():
    assert get_config("recipe=dtd").schedule == "short"
    steps = {
        name: counts(changed(schedule=name), examples=320)["updates"] for name in ("short", "coop")
    }
    assert steps == {"short": 100, "coop": 2000}
