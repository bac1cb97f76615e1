"""h, g and their logits: sizes, starts, and the two ways to compute them."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aape_jax.classification.serving import answer, predict, serve
from aape_jax.core.generator import Generator
from aape_jax.core.head import Head, parameter_count
from aape_jax.core.logits import chunked_cosines, cosines, direct_cosines, factored_cosines, factors
from aape_jax.core.objective import Objective
from aape_jax.core.projection import Projection
from common.errors import UserError
from tests.aape.problem import KEY, WIDTH, disturbed, settings, vectors

pytestmark = pytest.mark.usefixtures("quick_compiler")
X, W = (jnp.asarray(vectors(n, WIDTH, seed=n)) for n in (6, 9))
WITH_G = Head(Generator(), Projection())
LITERAL = Projection(residual_alpha=1.0, zero_init=False)
FULL_FC = Projection("fc", residual_alpha=1.0, zero_init=False, out_relu=True)


def test_parameter_counts_of_the_paper():
    generator, head = (
        jax.eval_shape(lambda key, part=part: part.init(key, 512), KEY)
        for part in (Generator(hidden=0), WITH_G)
    )
    assert parameter_count(generator) == 32_768
    assert parameter_count(head) == 81_920


def test_generated_prompts_have_about_unit_length():
    h = Generator()(Generator().init(KEY, 512), jnp.asarray(vectors(64, 512)))
    assert 0.8 < float(jnp.linalg.norm(h, axis=1).mean()) < 1.2


def test_generator_is_two_layers():
    generator = Generator(hidden=4, bias=True, residual="image")
    params = disturbed(generator.init(KEY, WIDTH))
    hidden = np.maximum(X @ params["down"] + params["down_bias"], 0)
    expected = hidden @ params["up"] + params["up_bias"] + X
    np.testing.assert_allclose(generator(params, X), expected, rtol=1e-4, atol=1e-5)


def test_with_zero_init_the_logits_are_zero_shot_clips():
    params = WITH_G.init(KEY, WIDTH)
    np.testing.assert_allclose(WITH_G.logits(params, X, W), 100 * X @ W.T, rtol=1e-4, atol=1e-3)


def test_with_identity_init_the_logits_are_those_of_the_rectified_class_feature():
    projection = Projection(
        "fc", residual_alpha=1.0, zero_init=False, identity_init=True, out_relu=True
    )
    h = jnp.asarray(vectors(6, WIDTH, seed=4))
    w = np.maximum(W, 0)
    expected = X @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T
    found = cosines(projection, projection.init(KEY, WIDTH), W, X, h)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "projection",
    [
        Projection(),
        LITERAL,
        Projection(residual="add", residual_alpha=1.0),
        Projection(activation="none"),
    ],
)
def test_factored_logits_are_the_direct_ones(projection):
    params = disturbed(projection.init(KEY, WIDTH), size=0.2)
    h = jnp.asarray(vectors(6, WIDTH, seed=4))

    def value(params, form):
        if form == "direct":
            return direct_cosines(projection, params, W, X, h)
        return factored_cosines(projection, params, factors(params, W), X, h)

    forms = ("direct", "factored")
    first, second = (jax.jit(value, static_argnums=1)(params, form) for form in forms)
    np.testing.assert_allclose(second, first, atol=2e-5)
    weights = vectors(6, 9, seed=5)
    first, second = (
        jax.jit(jax.grad(lambda p, f=form: jnp.sum(weights * value(p, f))))(params)
        for form in forms
    )
    for name in params:
        np.testing.assert_allclose(second[name], first[name], atol=2e-4)


def test_the_definition_itself():
    projection = Projection(hidden=4)
    params = disturbed(projection.init(KEY, WIDTH))
    h = vectors(6, WIDTH, seed=4)
    found = direct_cosines(projection, params, W, X, jnp.asarray(h))
    first = np.concatenate([params["from_class"], params["from_prompt"]])
    for own in range(9):
        g = np.maximum(np.concatenate([W[own], h[0]]) @ first, 0) @ params["up"]
        weight = 0.8 * W[own] + 0.2 * g
        expected = X[0] @ weight / np.linalg.norm(weight)
        np.testing.assert_allclose(found[0, own], expected, rtol=1e-4, atol=1e-5)


def test_classes_in_chunks(monkeypatch):
    monkeypatch.setattr("aape_jax.core.logits.CLASSES_AT_ONCE", 4)
    params = disturbed(FULL_FC.init(KEY, WIDTH))
    h = jnp.asarray(vectors(6, WIDTH, seed=4))
    expected = direct_cosines(FULL_FC, params, W, X, h)
    np.testing.assert_allclose(chunked_cosines(FULL_FC, params, W, X, h), expected, atol=1e-6)


def test_the_arrays_of_factored_logits_are_small():
    batch, classes, width = 8, 300, 256
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((batch, width), (classes, width))]
    params = jax.eval_shape(lambda key: WITH_G.init(key, width), KEY)
    jaxpr = jax.make_jaxpr(jax.grad(lambda p, x, w: WITH_G.logits(p, x, w).sum()))(params, *shapes)
    largest = max(
        (np.prod(v.aval.shape) for e in all_equations(jaxpr.jaxpr) for v in e.outvars), default=0
    )
    assert largest < batch * classes * width / 4


def all_equations(jaxpr):
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from all_equations(inner)


def test_with_a_linear_projection_the_aape_drops_out_of_the_scores():
    """The paper's argument: it adds the same term to every class, up to the norm."""
    for activation, same in (("none", True), ("relu", False)):
        projection = Projection(activation=activation, zero_init=False)
        params = disturbed(projection.init(KEY, WIDTH))

        def scores(h, projection=projection, params=params):
            weights = projection(params, W[None], h[:, None])
            raw = jnp.einsum("bp,bkp->bk", X, weights)
            return raw - raw[:, :1]

        first, second = (scores(jnp.asarray(vectors(6, WIDTH, seed=s))) for s in (4, 5))
        assert bool(jnp.abs(first - second).max() < 1e-5) is same


def test_aape_only_asks_the_generated_prompt():
    head = Head.from_config(settings(classifier__mode="aape_only"))
    params = head.init(KEY, WIDTH)
    assert set(params) == {"generator"}
    h = np.asarray(head.generator(params["generator"], X))
    expected = 100 * h / np.linalg.norm(h, axis=1, keepdims=True) @ W.T
    np.testing.assert_allclose(head.logits(params, X, W), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("residual", ["image", "none"])
def test_a_blend_asks_with_a_share_of_the_image_itself(residual):
    fields = {"classifier__mode": "aape_only", "generator__residual": residual}
    head = Head.from_config(settings(**fields, classifier__blend=0.7))
    params = disturbed(head.init(KEY, WIDTH))
    query = 0.7 * np.asarray(head.generator(params["generator"], X)) + 0.3 * np.asarray(X)
    expected = 100 * query / np.linalg.norm(query, axis=1, keepdims=True) @ W.T
    np.testing.assert_allclose(head.logits(params, X, W), expected, rtol=1e-4, atol=1e-3)
    plain = Head.from_config(settings(**fields, classifier__blend=0.0)).logits(params, X, W)
    np.testing.assert_allclose(plain, 100 * X @ W.T, rtol=1e-4, atol=1e-3)
    if residual == "image":  # The weights lie between CLIP's and the trained ones.
        up = params["generator"]["up"]
        between = {"generator": params["generator"] | {"up": 0.7 * up}}
        alone = Head.from_config(settings(**fields, classifier__blend=1.0))
        np.testing.assert_allclose(
            head.logits(params, X, W), alone.logits(between, X, W), rtol=1e-4, atol=1e-3
        )


def test_training_knows_no_blend():
    fields = {"classifier__mode": "aape_only"}
    trained = [Objective.from_config(settings(**fields, classifier__blend=b)) for b in (0.2, 1.0)]
    assert trained[0] == trained[1] and trained[0].head.blend == 1


def test_template_only_is_zero_shot_clip():
    head = Head.from_config(settings(classifier__mode="template_only"))
    found = head.logits(head.init(KEY, WIDTH), X, W)
    np.testing.assert_allclose(found, 100 * X @ W.T, rtol=1e-4, atol=1e-3)


def test_predict_takes_no_prompts_and_any_classes():
    assert set(inspect.signature(predict).parameters) == {"params", "x", "w", "head"}
    params = disturbed(WITH_G.init(KEY, WIDTH))
    for w in (W, jnp.asarray(vectors(4, WIDTH, seed=7))):
        found = predict(params, 3 * X, 2 * w, WITH_G)
        np.testing.assert_array_equal(found, WITH_G.logits(params, X, w).argmax(axis=1))
        np.testing.assert_array_equal(answer(serve(params, w, WITH_G), X), found)


@pytest.mark.parametrize(
    ("projection", "mode", "said"),
    [
        (FULL_FC, "template_and_aape", "mode=template_and_aape, projection.kind=fc"),
        (Projection(out_relu=True), "template_and_aape", "kind=bottleneck, projection.out_relu=T"),
        (Projection(), "aape_only", "classifier.mode=aape_only"),
    ],
)
def test_only_what_factors_is_served_from_constants(projection, mode, said):
    head = Head(Generator(), projection, mode)
    with pytest.raises(UserError, match=f"{said}.*: these logits do not factor"):
        serve(head.init(KEY, WIDTH), W, head)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"projection__kind": "mlp"}, "projection.kind='mlp' is unknown"),
        (
            {"projection__residual_alpha": 0.0},
            "=0.0 is out of range: give a number above 0 and up to 1",
        ),
        ({"projection__residual_alpha": 1.0}, "length zero: set projection.zero_init=false"),
        ({"projection__identity_init": True}, "identity_init=True is a start of"),
        ({"generator__residual": "text"}, "generator.residual='text' is unknown"),
        ({"generator__hidden": -1}, "generator.hidden=-1 is out of range"),
        ({"classifier__blend": 1.5}, "classifier.blend=1.5 is out of range: give a number from 0"),
        ({"classifier__mode": "both"}, "classifier.mode='both' is unknown"),
        ({"loss__tau": 0.0}, "loss.tau=0.0 is out of range"),
    ],
)
def test_options_that_cannot_be(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        Head.from_config(settings(**changes))
