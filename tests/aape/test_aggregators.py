"""What the paper says of its aggregator, for each form that can be meant by it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.core.aggregators import AGGREGATORS, AggregatorInput, make_aggregator
from aape_jax.core.objective import watch
from aape_jax.core.unit import unit
from common.errors import UserError
from tests.aape.problem import CLASSES, KEY, WIDTH, aggregator, given, settings, vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")
LEARNED = ("anchored", "paper", "mean", "mlp")


@pytest.mark.parametrize("kind", LEARNED)
def test_order_and_padding_of_the_prompts_do_not_matter(kind):
    own, params = aggregator(kind, aggregator__heads=4)
    start = given()
    run = jax.jit(lambda given: own(params, given, KEY).p_a)
    expected = run(start)
    order = np.random.default_rng(0).permutation(start.mask.shape[1])
    moved = start.replace(prompts=start.prompts[:, order], mask=start.mask[:, order])
    np.testing.assert_allclose(run(moved), expected, rtol=1e-5, atol=1e-6)
    noise = vectors(*start.prompts.shape, seed=9)
    filled = jnp.where(start.mask[..., None], start.prompts, noise)
    np.testing.assert_allclose(run(start.replace(prompts=filled)), expected, rtol=1e-5, atol=1e-6)


def test_pbar_is_the_mean_of_the_prompts_that_there_are():
    start = given()
    for prompts, mask, mean in zip(start.prompts, start.mask, start.mean, strict=True):
        np.testing.assert_allclose(mean, np.asarray(prompts)[np.asarray(mask)].mean(axis=0), 1e-5)


@pytest.mark.parametrize("kind", ["anchored", "mean", "random"])
def test_convex_forms_stay_in_the_hull_of_the_prompts(kind):
    own, params = aggregator(kind)
    start = given()
    found = own(params, start, KEY)
    weights = np.asarray(found.attention[:, 0])
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert (weights[~np.asarray(start.mask)] == 0).all()
    mix = np.einsum("bn,bnp->bp", weights, start.prompts)
    expected = mix / np.linalg.norm(mix, axis=1, keepdims=True)
    np.testing.assert_allclose(found.p_a[:, 0], expected, rtol=1e-4, atol=1e-6)


def test_anchored_starts_as_clips_own_softmax():
    config = settings(aggregator__init_scale=100.0)
    own = make_aggregator(config.aggregator)
    params = own.init(KEY, WIDTH, CLASSES)
    start = given()
    logits = 100 * np.einsum("bp,bnp->bn", start.x, start.prompts)
    logits = np.where(start.mask, logits, -np.inf)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    found = own(params, start, KEY).attention[:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_papers_token_is_the_mean_prompt_at_step_0():
    config = settings(aggregator__kind="paper", aggregator__heads=4)
    own = make_aggregator(config.aggregator)
    params = own.init(KEY, WIDTH, CLASSES)
    start = given()
    assert params["offset"].shape == (CLASSES, 1, WIDTH)
    np.testing.assert_allclose(own.tokens(params, start)[:, 0], start.mean, rtol=1e-6)


def test_the_image_is_no_input_of_papers_layer_and_one_of_the_anchored():
    start = given()
    other = start.replace(x=jnp.asarray(vectors(*start.x.shape, seed=8)))
    for kind, differs in (("paper", False), ("anchored", True)):
        own, params = aggregator(kind, aggregator__heads=1)
        first, second = (own(params, g, KEY).p_a for g in (start, other))
        assert bool(jnp.abs(first - second).max() > 1e-4) is differs


@pytest.mark.parametrize("kind", ["paper", "anchored"])
def test_several_outputs_start_apart(kind):
    config = settings(aggregator__kind=kind, aggregator__num_outputs=2)
    own = make_aggregator(config.aggregator)
    found = own(own.init(KEY, WIDTH, CLASSES), given(), KEY).p_a
    assert found.shape == (6, 2, WIDTH)
    assert jnp.abs(found[:, 0] - found[:, 1]).max() > 1e-4


def test_random_draws_one_real_prompt_anew():
    own, params = aggregator("random")
    start = given()
    draws = [np.asarray(own(params, start, jax.random.key(i)).attention[:, 0]) for i in range(20)]
    assert all(((draw == 0) | (draw == 1)).all() for draw in draws)
    assert all((draw.sum(axis=1) == 1).all() for draw in draws)
    seen = np.max(draws, axis=0) > 0
    assert not seen[~np.asarray(start.mask)].any()
    assert seen.sum() > len(seen)


def test_mlp_mixes_the_mean_with_a_bottleneck():
    own, params = aggregator("mlp")
    start = given()
    mean = np.asarray(start.mean)
    changed = np.maximum(mean @ params["down"], 0) @ params["up"]
    expected = params["mix"] * changed + (1 - params["mix"]) * mean
    np.testing.assert_allclose(own(params, start, KEY).p_a[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_watch_counts_prompts():
    own, params = aggregator("mean")
    start = given()
    found = watch(start, own(params, start, KEY))
    counts = np.asarray(start.mask).sum(axis=1)
    np.testing.assert_allclose(found["effective_prompts"], counts.mean(), rtol=1e-5)
    np.testing.assert_allclose(found["attention_entropy"], np.log(counts).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["cos_pa_pbar"], 1, rtol=1e-5)
    cosines = np.sum(np.asarray(unit(start.mean)) * np.asarray(start.x), axis=1)
    np.testing.assert_allclose(found["cos_pa_x"], cosines.mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "attention"}, "aggregator.kind='attention' is unknown; choose one of anchored"),
        ({"norm": "rms"}, "aggregator.norm='rms' is unknown"),
        ({"token": "pixel"}, "aggregator.token='pixel' is unknown"),
        (
            {"num_outputs": 0},
            "aggregator.num_outputs=0 is out of range: give a number of at",
        ),
        ({"init_scale": 0.0}, "aggregator.init_scale=0.0 is out of range: give a number above 0"),
    ],
)
def test_options_that_cannot_be(changes, sentence):
    config = settings(**{f"aggregator__{name}": value for name, value in changes.items()})
    with pytest.raises(UserError, match=sentence):
        make_aggregator(config.aggregator)


def test_heads_that_do_not_divide():
    config = settings(aggregator__heads=3)
    with pytest.raises(UserError, match="heads=3 does not divide the joint width 16"):
        make_aggregator(config.aggregator).init(KEY, WIDTH, CLASSES)


def test_every_form_is_in_the_table():
    assert set(AGGREGATORS) == {"anchored", "paper", "mean", "random", "mlp"}
    assert {field.name for field in dataclasses.fields(AggregatorInput)} == {
        "prompts",
        "mask",
        "x",
        "token",
    }
