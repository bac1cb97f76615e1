"""What belongs to which row, and what the classes' banks hold."""

import jax.numpy as jnp
import numpy as np
import pytest

from common.errors import UserError
from mcti_jax.layout import RowLayout, class_bank, class_latents, prepare
from mcti_jax.objective import gamma_factor
from mcti_jax.prompts import Prompts
from tests.mcti.problem import LABELS, random_photos
from tests.mcti.tiny import LATENT, NumberTokenizer, settings

PHOTOS = random_photos(LABELS, LATENT)
CLASSES = 5


def layout(devices=1, **changes):
    return RowLayout.of(settings(**changes), CLASSES, devices)


def test_bank_holds_photos_and_mirrors_at_unit_length():
    bank = class_bank(PHOTOS.features, LABELS, CLASSES, prototypes=False)
    assert bank.counts.tolist() == [6, 4, 8, 2, 6]
    for label, count in enumerate(bank.counts):
        own = PHOTOS.entries("features", label)
        own = own / np.linalg.norm(own, axis=1, keepdims=True)
        np.testing.assert_allclose(bank.features[label, :count], own, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(bank.features, axis=-1), 1, rtol=1e-6)


def test_prototype_is_the_mean_of_features_as_they_are():
    """The reference normalises after it averages, so long features weigh more."""
    bank = class_bank(PHOTOS.features, LABELS, CLASSES, prototypes=True)
    assert bank.counts.tolist() == [1] * CLASSES
    for label in range(CLASSES):
        mean = PHOTOS.entries("features", label).mean(axis=0)
        np.testing.assert_allclose(
            bank.features[label, 0], mean / np.linalg.norm(mean), rtol=1e-5, atol=1e-6
        )


def test_rows_hold_the_posteriors_of_their_class():
    rows = class_latents(layout(), PHOTOS.mean, PHOTOS.logvar, LABELS)
    assert rows.entries.tolist() == [6, 4, 8, 2, 6]
    for label, count in enumerate(rows.entries):
        for field in ("mean", "logvar"):
            own = getattr(rows, field)[label, :count]
            np.testing.assert_array_equal(own, PHOTOS.entries(field, label))


def test_variants_follow_each_other_and_padding_weighs_nothing():
    found = layout(devices=4, compare_ti=True, gamma=0.5)
    assert found.labels().tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 0]
    assert found.weights("alpha").tolist() == [1.0] * 10 + [0.0] * 2
    assert found.weights("gamma").tolist() == [0.5] * 5 + [0.0] * 7
    rows = np.arange(12, dtype=np.float32)
    np.testing.assert_allclose(found.averaging() @ rows, [2, 7])
    assert found.by_variant(rows).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"compare_ti": True}, ["mcti", "ti"]),
        ({"compare_ti": True, "gamma": 0.0}, ["ti"]),
        ({"compare_ti": True, "alpha": 0.0}, ["mcti"]),
        ({}, ["mcti"]),
    ],
)
def test_variants(changes, names):
    assert [variant.name for variant in layout(**changes).variants] == names


@pytest.mark.parametrize("changes", [{"alpha": 0.0, "gamma": 0.0}, {"gamma": -1.0}])
def test_nothing_to_learn_from(changes):
    with pytest.raises(UserError, match="leave nothing to learn from"):
        layout(**changes)


def test_prepare_looks_words_up_and_leaves_slots_to_be_filled():
    table = np.arange(1009 * 2, dtype=np.float32).reshape(1009, 2)
    prompts = Prompts.from_templates(NumberTokenizer(), ["7 {} 8"], vectors=2).cut()
    prepared = prepare(table, prompts, "placeholder")
    np.testing.assert_array_equal(prepared.embedded[0, [0, 1, 4, 5]], table[[1000, 7, 8, 1001]])
    assert (prepared.slot.tolist(), prepared.pool_at.tolist()) == ([2], [3])


def test_exponential_gamma_is_the_formula_that_the_reference_computes():
    """gamma * exp(-a * tau) from gamma to gamma_end over the horizon, then constant."""
    config = settings(gamma=0.5, gamma_schedule="exponential", gamma_end=1e-4, gamma_horizon=3000)
    a = np.log(config.gamma / config.gamma_end)
    for step in (0, 1, 750, 1500, 3000):
        gamma = config.gamma * gamma_factor(config)(jnp.float32(step))
        np.testing.assert_allclose(gamma, 0.5 * np.exp(-a * step / 3000), rtol=1e-5)
    np.testing.assert_allclose(0.5 * gamma_factor(config)(jnp.float32(9000)), 1e-4, rtol=1e-5)


def test_constant_gamma():
    assert gamma_factor(settings())(jnp.float32(2000)) == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gamma_schedule": "linear"}, "'linear' is unknown; choose one of constant, exp"),
        ({"gamma_schedule": "exponential", "gamma_end": 0.0}, "must be positive"),
        ({"gamma_schedule": "exponential", "gamma_horizon": 0}, "must be positive"),
    ],
)
def test_gamma_schedule_that_cannot_be(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        gamma_factor(settings(**changes))
