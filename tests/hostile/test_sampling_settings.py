"""Settings of training and of sampling that make no sense, refused before anything is loaded."""

import math
from dataclasses import replace

import jax
import numpy as np
import pytest

from common.errors import UserError
from common.seeds import seed_key, seed_words
from configs.mcti import RECIPES, get_config
from mcti_jax import drawing, method
from mcti_jax.assembly import check_pictures
from mcti_jax.method import MCTI
from mcti_jax.options import RANGES, check_values, shots_of
from mcti_jax.photos import check_classes
from mcti_jax.picture_size import picture_size
from tests.mcti.tiny import models, settings

INFINITE, NOT_A_NUMBER = math.inf, math.nan


def changed(**fields):
    config = get_config()
    config.update_from_flattened_dict({name.replace("__", "."): x for name, x in fields.items()})
    return config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shots", -2),
        ("shots_seed", -1),
        ("holdout", -1),
        ("classes", -5),
        ("vectors", 0),
        ("vectors", 65),
        ("alpha", -0.1),
        ("alpha", NOT_A_NUMBER),
        ("gamma", -1.0),
        ("gamma", INFINITE),
        ("logit_scale", 0.0),
        ("logit_scale", -10.0),
        ("logit_scale", NOT_A_NUMBER),
        ("feature_draws", 0),
        ("samples", 0),
        ("samples", 10**9),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", INFINITE),
        ("learning_rate", NOT_A_NUMBER),
        ("weight_decay", -1e-2),
        ("beta1", 1.0),
        ("beta1", -0.1),
        ("beta2", 1.0),
        ("beta2", NOT_A_NUMBER),
        ("resolution", -512),
        ("resolution", 10**6),
        ("classes_per_chunk", -1),
        ("generate.per_class", -1),
        ("generate.per_class", 10**6),
        ("generate.steps", 0),
        ("generate.steps", -3),
        ("generate.batch", 0),
        ("generate.guidance", NOT_A_NUMBER),
        ("generate.guidance", INFINITE),
        ("generate.guidance", -1e9),
    ],
)
def test_numbers_out_of_range(field, value):
    config = changed(**{field: value})
    with pytest.raises(UserError, match=rf"^{field}=\S+ is out of range: give a number "):
        check_values(config)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("alpha=0,logit_scale=20", "logit_scale=20.0 changes nothing with classification=joint: "),
        ("classification=joint,feature_draws=4", "feature_draws=4 changes nothing with class"),
        ("alpha=0,shared_features=false", "shared_features=False changes nothing with class"),
        ("gamma=0,prototypes=true", "prototypes=True changes nothing with gamma=0.0: leave it out"),
        ("gamma=0,gamma_schedule=exponential", "gamma_schedule=exponential changes nothing with"),
        ("gamma=0,joint.weight=2", "joint.weight=2.0 changes nothing with gamma=0.0"),
        ("classification=paper,joint.photos=4", "joint.photos=4 changes nothing with class"),
        ("gamma_end=0.001", "gamma_end=0.001 changes nothing with gamma_schedule=constant: leave"),
    ],
)
def test_what_nothing_reads_is_refused(given, told):
    with pytest.raises(UserError, match=f"^{told}"):
        MCTI(get_config(given))


@pytest.mark.parametrize(
    "given",
    [
        "",
        "gamma=0,logit_scale=100",  # which classifies later
        "alpha=0,joint.logit_scale=100,joint.photos=0",
        "logit_scale=20,feature_draws=2,joint.weight=2",
        "classification=paper,logit_scale=20,shared_features=false",
        "gamma_schedule=exponential,gamma_end=0.001,gamma_horizon=50,prototypes=true",
        *(f"recipe={name}" for name in RECIPES),
    ],
)
def test_what_something_reads_is_taken(given):
    config = get_config(given)
    assert MCTI(config).config.logit_scale == config.logit_scale


def test_every_number_at_its_ends_is_taken():
    for name, allowed in RANGES.items():
        for value in (allowed.low, allowed.high):
            assert allowed.holds(value) is (math.isfinite(value) and not allowed.above), name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attention", "quick"),
        ("remat", "all"),
        ("pool", "mean"),
        ("gamma_schedule", "linear"),
        ("generate.sampler", "magic"),
        ("generate.sampler", ""),
        ("dtype", "float16"),
    ],
)
def test_names_of_nothing(field, value):
    with pytest.raises(UserError, match=f"{field}='{value}' is unknown; choose"):
        check_values(changed(**{field: value}))


@pytest.mark.parametrize("prompt", ["no place", "{} {}", "{word}", "<dog> {}"])
def test_prompts_that_no_class_fits(prompt):
    with pytest.raises(UserError, match=r"generate\.prompt="):
        check_values(changed(generate__prompt=prompt))


def test_a_run_is_refused_before_its_models_are_loaded(monkeypatch):
    monkeypatch.setattr(method, "gather", lambda config: pytest.fail("it was loaded"))
    config = changed(generate__steps=0)
    with pytest.raises(UserError, match=r"generate\.steps=0 is out of range"):
        MCTI(config).complete(config)


@pytest.mark.parametrize("recipe", ["", *RECIPES])
def test_our_own_recipes_are_in_order(recipe):
    check_values(get_config(f"recipe={recipe}"))


TABLE, START = np.ones((1009, 32), np.float32), np.ones((1, 32), np.float32)


def pictures(vectors=1, **changes):
    config = settings()
    config.generate.update({"prompt": "7 {}", **changes})
    check_pictures(config, models()[0], TABLE, np.repeat(START, vectors, axis=0))


@pytest.mark.parametrize("steps", [1001, 2000, 10**6])
def test_more_steps_than_the_model_has(steps):
    with pytest.raises(UserError, match=f"{steps}"):
        pictures(steps=steps)


@pytest.mark.parametrize(("words", "vectors"), [(75, 1), (74, 2), (0, 64 + 12), (300, 1)])
def test_a_prompt_that_is_too_long_with_the_vectors(words, vectors):
    with pytest.raises(UserError, match="75 fit: shorten it"):
        pictures(vectors, prompt="7 " * words + "{}")


def test_a_prompt_that_just_fits():
    pictures(2, prompt="7 " * 73 + "{}")


def test_without_pictures_nothing_is_sampled():
    pictures(per_class=0, steps=10**6)


@pytest.mark.parametrize(("size", "take"), [(1, 2), (3, 2), (511, 510), (4095, 4094)])
def test_sizes_that_the_vae_cannot_halve(size, take):
    """The tiny VAE halves once; a U-Net of two levels takes what it makes of any such size."""
    sd, _ = models()
    config = replace(
        sd.unet.config,
        block_out_channels=(8, 8),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    sd = replace(sd, modules=replace(sd.modules, unet=sd.unet.clone(config=config)))
    with pytest.raises(UserError, match=f"resolution={size} is not a multiple of 2.*take {take}"):
        picture_size(settings(resolution=size), sd)
    assert picture_size(settings(resolution=take), sd) == (take, take)


@pytest.mark.parametrize(
    ("data", "given", "shots"),
    [
        ("folder:photos", -1, 0),
        ("folder:/a:b", -1, 0),
        ("pocket:nameless", -1, 5),
        ("coop:data/dtd", -1, 5),
        ("tfds:cifar10", -1, 5),
        ("folder:photos", 5, 5),
        ("pocket:nameless", 0, 0),
    ],
)
def test_photos_of_ones_own_are_all_used(data, given, shots):
    assert shots_of(changed(data=data, shots=given)) == shots
    config = changed(data=data, shots=given)
    assert MCTI(config).complete(config).shots == shots


def test_one_class_gives_nothing_to_tell_apart():
    with pytest.raises(UserError, match="has one class, from which alpha=0 leaves nothing"):
        check_classes(("dog",), changed(alpha=0.0))


def test_one_class_alone_may_be_drawn():
    check_classes(("dog",), changed())


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_seeds_are_those_of_before(seed):
    ours = jax.random.key_data(jax.jit(seed_key)(seed_words(seed)))
    np.testing.assert_array_equal(ours, jax.random.key_data(jax.random.key(np.int32(seed))))


def test_seeds_of_64_bits_differ():
    seeds = [0, 2**32, 2**63, 2**64 - 1, 2**32 - 1, 2**31]
    assert len({tuple(seed_words(seed).tolist()) for seed in seeds}) == len(seeds)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"num": 0}, "--num=0 is out of range"),
        ({"num": 10**7}, "--num=10000000 is out of range"),
        ({"seed": -1}, "--seed=-1 is out of range"),
        ({"seed": 2**64}, "--seed=18446744073709551616 is out of range"),
        ({"guidance": NOT_A_NUMBER}, "--guidance=nan is out of range"),
        ({"guidance": INFINITE}, "--guidance=inf is out of range"),
        ({"prompts": ["caf\udce9"]}, r"--prompt='caf\\udce9' is not UTF-8"),
    ],
)
def test_what_generate_is_asked(options, sentence, monkeypatch, tmp_path):
    monkeypatch.setattr(drawing, "read_config", lambda *_: get_config())
    with pytest.raises(UserError, match=sentence):
        drawing.draw(tmp_path, **{"prompts": ["a"], **options})
