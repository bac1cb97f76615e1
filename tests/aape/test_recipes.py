"""The paper's protocols as settings, and what is refused."""

import pytest

from aape_jax.classification.recipes import check_applied
from aape_jax.core.optimizer import epochs
from aape_jax.core.presets import (
    ALWAYS,
    DEFAULT,
    PRESETS,
    USUAL,
    VARIANTS,
    say_repeated,
    variants,
)
from common.config import flatten
from common.data.coop_sets import COOP_SETS
from common.errors import UserError
from configs.aape import defaults, get_config


def test_the_eleven_data_sets_and_two_halves():
    assert len(COOP_SETS) == 11
    for name, known in COOP_SETS.items():
        config = get_config(f"recipe={name}")
        assert config.data == f"coop:data/{known.folder}" and config.classes == known.classes
        assert (config.subsample, config.schedule, config.shots) == ("base", "short", 16)
        assert config.targets == ()


def test_all_classes_with_few_shots():
    config = get_config("recipe=eurosat,protocol=all_classes,shots=1,shots_seed=3,seed=3")
    assert (config.subsample, config.schedule, config.shots) == ("all", "coop", 1)
    assert epochs(config.schedule, config.shots, config.recipe) == 50


@pytest.mark.parametrize(
    ("protocol", "count"), [("domain_generalisation", 4), ("cross_dataset", 10)]
)
def test_protocols_of_imagenet(protocol, count):
    config = get_config(f"recipe=imagenet,protocol={protocol}")
    assert config.subsample == "all" and len(set(config.targets)) == count
    assert config.data not in config.targets
    assert epochs(config.schedule, config.shots, config.recipe) == 50
    with pytest.raises(UserError, match=f"protocol={protocol} learns from recipe=imagenet"):
        get_config(f"recipe=dtd,protocol={protocol}")


def test_protocols_of_the_pocket_world():
    targets = {
        name: get_config(f"protocol={name}").targets
        for name in ("base_to_new", "domain_generalisation", "cross_dataset")
    }
    assert targets == {
        "base_to_new": (),
        "domain_generalisation": ("pocket:rare_sketch",),
        "cross_dataset": ("pocket:second",),
    }


def test_what_the_user_wrote_wins():
    config = get_config("recipe=dtd,data=tfds:dtd,preset=paper,aggregator.heads=4")
    assert config.data == "tfds:dtd" and config.aggregator.heads == 4
    assert config.projection.residual_alpha == 1.0


@pytest.mark.parametrize(
    ("arg", "sentence"),
    [
        ("recipe=birds", "recipe='birds' is unknown; choose one of imagenet"),
        ("protocol=zero_shot", "protocol='zero_shot' is unknown; choose one of base_to_new"),
    ],
)
def test_names_that_do_not_exist(arg, sentence):
    with pytest.raises(UserError, match=sentence):
        get_config(arg)


@pytest.mark.parametrize(
    ("name", "value"),
    [("preset", "paper"), ("recipe", "dtd"), ("protocol", "cross_dataset")],
)
def test_names_that_come_too_late_are_refused(name, value):
    check_applied(get_config(f"{name}={value}" if value != "dtd" else "recipe=dtd"))
    config = get_config()
    config[name] = value  # as --config.NAME=VALUE does
    with pytest.raises(UserError, match="write it behind the colon"):
        check_applied(config)


def test_the_config_file_shows_what_its_preset_sets():
    assert get_config().preset == DEFAULT
    assert flatten(get_config()) == flatten(defaults())


@pytest.mark.parametrize("name", PRESETS)
def test_the_paper_stands_beside_every_run(name):
    found = variants(get_config(f"preset={name},compare=()"), always=ALWAYS)
    assert set(found) == {"aape", "paper"} - {name}


def test_variants_that_are_one_are_trained_once():
    """h alone is what the default is, so that its teacher is no other either."""
    config = get_config("compare=(aape_only,mean_prompt,mean_prompt_only,with_g)")
    assert set(variants(config)) == {"aape", "mean_prompt", "with_g"}


@pytest.mark.parametrize(
    ("arg", "line"),
    [
        (
            "compare=(aape_only,mean_prompt,mean_prompt_only,residual,with_g)",
            "aape_only is aape, residual is aape, mean_prompt_only is mean_prompt",
        ),
        ("preset=paper", ""),
        ("preset=paper,compare=(paper,)", "paper is aape"),
        ("compare=(paper,)", ""),
        ("loss.distill=false", "no_distillation is aape"),
    ],
)
def test_variants_that_are_no_rows_of_their_own_are_named(arg, line, capsys):
    say_repeated(get_config(arg), always=ALWAYS)
    assert capsys.readouterr().out == (f"compare: {line}: trained once.\n" if line else "")


@pytest.mark.parametrize("name", PRESETS)
def test_what_only_evaluation_reads_makes_no_variant(name):
    """Else a finished run's checkpoint has other arrays than the same run with another blend."""
    arg = f"preset={name},compare=({','.join(VARIANTS)})"
    usual, *others = (
        list(variants(get_config(f"{arg}{field}"), always=ALWAYS))
        for field in ("", *(f",classifier.blend={blend}" for blend in (0.0, 0.3, 0.7, 1.0)))
    )
    assert all(other == usual for other in others)


def test_a_preset_beside_another_is_what_it_is_alone():
    """But for what the user wrote, which holds for all of them."""
    alone = {name: flatten(get_config(f"preset={name},compare=()")) for name in PRESETS}
    for own in PRESETS:
        config = get_config(f"preset={own},compare=({','.join(PRESETS)})")
        for name, found in variants(config).items():
            if name != "aape":
                fields = flatten(found) | {"preset": name, "compare": ()}
                assert fields == alone[name], (own, name)


def test_a_variant_keeps_what_the_user_wrote_where_no_preset_says_otherwise():
    written = {"loss.lambda": 3.0, "generator.hidden": 64, "momentum": 0.8}
    arg = ",".join(f"{name}={value}" for name, value in written.items())
    for own in PRESETS:
        config = get_config(f"preset={own},{arg},compare=({','.join(PRESETS)})")
        for name, found in variants(config).items():
            values = flatten(found)
            assert values["momentum"] == 0.8
            if name != "residual":
                assert {field: values[field] for field in written} == written, (own, name)
            if name not in ("aape", "residual"):
                assert values["generator.residual"] == USUAL["generator.residual"]
