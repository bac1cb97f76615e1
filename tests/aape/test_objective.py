"""Which loss trains what, and what each loss is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.core.losses import DISTANCES, Distillation, Reward, contrastive
from aape_jax.core.objective import Objective
from common.errors import UserError
from tests.aape.problem import CLASSES, IMAGES, KEY, WIDTH, batch, disturbed, settings, vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")

BATCH = batch()


def gradients(**changes):
    # At CLIP's scale random prompts leave the softmax without a gradient.
    objective = Objective.from_config(settings(aggregator__init_scale=5.0, **changes))
    params = disturbed(objective.init(KEY, WIDTH, CLASSES, IMAGES), size=0.1)
    run = jax.jit(jax.value_and_grad(lambda p: objective(p, BATCH, KEY), has_aux=True))
    (loss, metrics), gradient = run(params)
    return loss, metrics, gradient


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.fixture(scope="module")
def plain():
    return gradients(aggregator__reward_clamp=False)


def test_the_loss_is_the_sum_that_the_paper_states(plain):
    loss, metrics, _ = plain
    expected = metrics["task"] + 5 * metrics["distill"] - metrics["clip_score"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_lambda_0_is_no_distillation_and_lambda_is_not_on_the_task(plain):
    _, _, five = plain
    off, zero, ten = (
        gradients(aggregator__reward_clamp=False, **{f"loss__{name}": value})[2]
        for name, value in (("distill", False), ("lambda", 0.0), ("lambda", 10.0))
    )
    np.testing.assert_array_equal(flat(off["head"]), flat(zero["head"]))
    # Linear in lambda: the task's share stays.
    expected = 2 * flat(five["head"]) - flat(zero["head"])
    np.testing.assert_allclose(flat(ten["head"]), expected, rtol=1e-3, atol=1e-4)


def test_each_loss_has_one_owner(plain):
    _, _, both = plain
    silent = gradients(aggregator__reward_clamp=False, aggregator__reward_weight=0.0)[2]
    assert np.abs(flat(both["aggregator"])).max() > 1e-4
    assert not flat(silent["aggregator"]).any(), "distillation reached the aggregator"
    np.testing.assert_allclose(flat(silent["head"]), flat(both["head"]), rtol=1e-4, atol=1e-5)


def test_distillation_reaches_the_aggregator_only_where_it_may():
    changes = {"aggregator__reward_weight": 0.0, "loss__distill_stop_grad": False}
    assert np.abs(flat(gradients(**changes)[2]["aggregator"])).max() > 1e-4


def test_nothing_of_clip_is_trained():
    """Features are arguments beside the trainable tree, which holds these groups alone."""
    objective = Objective.from_config(settings())
    params = objective.init(KEY, WIDTH, CLASSES, IMAGES)
    assert set(params) == {"head", "aggregator"}
    assert set(params["head"]) == {"generator", "projection"}


@pytest.mark.parametrize(("token", "rows"), [("class", CLASSES), ("image", IMAGES), ("none", 1)])
def test_tokens_belong_to_whom_the_config_says(token, rows):
    objective = Objective.from_config(
        settings(aggregator__kind="paper", aggregator__heads=4, aggregator__token=token)
    )
    params = objective.init(KEY, WIDTH, CLASSES, IMAGES)
    assert params["aggregator"]["offset"].shape[0] == rows
    given, _ = objective.aggregate(params, BATCH.prompted, KEY)
    expected = {"class": BATCH.labels, "image": BATCH.rows, "none": np.zeros(IMAGES)}[token]
    np.testing.assert_array_equal(given.token, expected)
    np.testing.assert_array_equal(given.prompts, BATCH.prompts[BATCH.labels])


def test_distances_by_hand():
    h, p = jnp.asarray(vectors(2, 4, 3, seed=1))
    difference = h - p
    expected = {
        "sq_l2": (difference**2).sum(axis=1),
        "l2": np.linalg.norm(difference, axis=1),
        "l1": np.abs(difference).sum(axis=1),
        "cos": 1 - (h * p).sum(axis=1),
    }
    assert set(expected) == set(DISTANCES)
    for name, value in expected.items():
        np.testing.assert_allclose(DISTANCES[name](h, p), value, rtol=1e-5)


def test_the_target_has_unit_length_and_the_generated_prompt_has_not():
    h, p = (jnp.asarray(3 * vectors(4, 8, seed=s)) for s in (1, 2))
    found = Distillation(5.0)(h, p[:, None])
    target = p / jnp.linalg.norm(p, axis=1, keepdims=True)
    np.testing.assert_allclose(found, jnp.square(h - target).sum(axis=1).mean(), rtol=1e-5)
    mean = Distillation(5.0, reduce="mean")(h, p[:, None])
    np.testing.assert_allclose(mean, found / 8, rtol=1e-5)


def test_the_reward_is_clip_score_of_directions():
    reward = Reward(scale=2.5, clamp=True, weight=1.0, anchor_weight=0.0)
    x, p = vectors(6, 8, seed=1), vectors(6, 8, seed=2)
    cosines = (x * p).sum(axis=1)
    assert (cosines < 0).any()
    expected = 2.5 * np.maximum(cosines, 0).mean()
    found = reward.score(jnp.asarray(4 * x), jnp.asarray(7 * p)[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    free = Reward(scale=2.5, clamp=False, weight=1.0, anchor_weight=2.0)
    loss = free.loss(jnp.asarray(x), jnp.asarray(p)[:, None], jnp.asarray(x))
    np.testing.assert_allclose(loss, 2 * (1 - cosines.mean()) - 2.5 * cosines.mean(), rtol=1e-4)


def test_captions_of_one_image_are_never_negatives():
    x, captions = (jnp.asarray(vectors(4, 8, seed=s)) for s in (1, 2))
    twice = contrastive(x, captions, jnp.array([0, 0, 1, 2]), 0.1)
    logits = np.asarray(x @ captions.T) / 0.1
    allowed = np.ones((4, 4), bool)
    allowed[0, 1] = allowed[1, 0] = False
    masked = np.where(allowed, logits, -np.inf)

    def entropy(rows):
        return np.mean(np.log(np.exp(rows).sum(axis=1)) - np.diag(rows))

    np.testing.assert_allclose(twice, (entropy(masked) + entropy(masked.T)) / 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss__distance": "l3"}, "loss.distance='l3' is unknown; choose one of sq_l2"),
        ({"loss__reduce": "max"}, "loss.reduce='max' is unknown; choose one of sum, mean"),
        ({"loss__lambda": -1.0}, "loss.lambda=-1.0 is out of range"),
        ({"aggregator__reward_weight": -1.0}, "reward_weight=-1.0 is out of range"),
    ],
)
def test_options_that_cannot_be(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        Objective.from_config(settings(**changes))
