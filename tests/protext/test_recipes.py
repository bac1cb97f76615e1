"""The published settings."""

import pytest

from common.errors import UserError
from configs.protext import get_config


@pytest.mark.parametrize(
    ("arg", "epochs", "length", "rate"),
    [
        ("protocol=base_to_new,recipe=dtd", 200, 4, 0.03),
        ("protocol=all_classes,recipe=dtd", 200, 16, 0.03),
        ("protocol=all_classes,recipe=eurosat", 300, 4, 0.0025),
        ("protocol=base_to_new,recipe=ucf101", 30, 16, 0.03),
        ("protocol=base_to_new,recipe=ucf101,recipe_from=paper", 20, 16, 0.0025),
        ("protocol=cross_dataset,recipe=imagenet", 10, 4, 0.03),
        ("protocol=domain_generalisation,recipe=imagenet", 200, 16, 0.0025),
        ("protocol=all_classes,recipe=dtd,epochs=3,length=2", 3, 2, 0.03),
    ],
)
def test_settings(arg, epochs, length, rate):
    config = get_config(arg)
    assert (config.epochs, config.length, config.learning_rate) == (epochs, length, rate)
    assert (config.batch, config.depth, config.weight_decay) == (256, 9, 0.1)
    assert (config.beta1, config.beta2, config.loss) == (0.9, 0.98, "l2")


def test_the_protocols_other_sets():
    assert len(get_config("protocol=cross_dataset,recipe=imagenet").targets) == 10
    assert len(get_config("protocol=domain_generalisation,recipe=imagenet").targets) == 4
    assert get_config("protocol=all_classes,recipe=dtd").targets == ()


@pytest.mark.parametrize(
    "arg", ["recipe=cub", "recipe=dtd,recipe_from=mine", "recipe=dtd,protocol=cross_dataset"]
)
def test_unknown_ones(arg):
    with pytest.raises(UserError, match=r"unknown|no settings"):
        get_config(arg)
