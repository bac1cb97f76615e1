"""The joint term against loops over classes and pictures, on devices and in chunks."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from common.aot.collectives import collectives
from mcti_jax.joint import classify_images, draw_joint
from mcti_jax.layout import class_bank
from tests.mcti.problem import LABELS, learning, problem, random_photos
from tests.mcti.tiny import FEATURES, LATENT, QUICK

pytestmark = pytest.mark.usefixtures("quick_compiler")

JOINT = {"alpha": 0.0, "classification": "joint"}
OPTIONS = {
    "pool": "eos",
    "vectors": 3,
    "own_clip_text": True,
    "joint.photos": 3,
    "joint.weight": 0.6,
    "joint.logit_scale": 30.0,
}
COUNTS = 2 * np.bincount(LABELS)


@pytest.fixture(scope="module")
def bank():
    """Of 2 to 8 features a class; what pads them is NaN."""
    photos = random_photos(LABELS, LATENT)
    bank = class_bank(photos.features, photos.labels, 5, prototypes=False)
    padding = np.arange(8) >= bank.counts[:, None]
    return jax.tree.map(
        jnp.asarray, bank.replace(features=np.where(padding[..., None], np.nan, bank.features))
    )


class TestDraws:
    @pytest.mark.parametrize("photos", [1, 3, 6, 0])
    def test_as_many_photos_as_asked_for_or_all(self, bank, photos):
        draws = draw_joint(jax.random.key(0), jnp.arange(5), bank, photos=photos, templates=9)
        for drawn, share, count in zip(draws.photo, draws.share, COUNTS, strict=True):
            asked = min(photos or 8, count)
            counted = np.asarray(drawn)[np.asarray(share) > 0]
            assert len(set(counted.tolist())) == len(counted) == asked
            np.testing.assert_allclose(share[share > 0], 1 / asked)
        assert not np.isnan(bank.features[jnp.arange(5)[:, None], draws.photo]).any()

    def test_a_row_depends_on_its_label_alone(self, bank):
        settings = {"photos": 3, "templates": 1000}
        one = draw_joint(jax.random.key(1), jnp.array([0, 1, 2, 2]), bank, **settings)
        other = draw_joint(jax.random.key(1), jnp.array([2, 0]), bank, **settings)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a[np.array([2, 0])], b)
            np.testing.assert_array_equal(a[2], a[3])
        assert len(set(np.asarray(one.template).tolist())) == 3

    def test_updates_reach_every_photo_and_template(self, bank):
        keys = jax.random.split(jax.random.key(2), 100)
        draw = functools.partial(draw_joint, photos=1, templates=3)
        draws = jax.vmap(lambda key: draw(key, jnp.array([4]), bank))(keys)
        assert set(np.ravel(draws.photo)) == set(range(6))
        assert set(np.ravel(draws.template)) == {0, 1, 2}


def test_an_image_is_asked_among_the_texts_of_its_variant():
    rng = np.random.default_rng(0)
    images, texts = rng.standard_normal((2, 3, 4)), rng.standard_normal((7, 4))
    own = np.array([1, 5])  # Of the first and of the second three; the last text is padding.
    problem = jnp.arange(7) // 3
    error, hit = classify_images(*map(jnp.float32, (images, texts)), jnp.asarray(own), 3.0, problem)
    for image, variant, place, errors, hits in zip(
        images, (texts[:3], texts[3:6]), own % 3, error, hit, strict=True
    ):
        logits = 3 * image @ variant.T
        expected = np.log(np.exp(logits).sum(axis=1)) - logits[:, place]
        np.testing.assert_allclose(errors, expected, rtol=1e-5)
        np.testing.assert_array_equal(hits, logits.argmax(axis=1) == place)


def plainly(tiny):
    """Loss, metrics and gradient of the first variant, class by class and photo by photo."""
    networks, config, frozen = tiny.objective.networks, tiny.objective.config, tiny.frozen
    classes, prompts, params = tiny.layout.classes, tiny.prompts, frozen["params"]
    tower, name = networks.class_tower
    params, projection = params[name], params["projection"]
    banks = [tiny.photos.entries("features", k) for k in range(classes)]
    draws = draw_joint(
        tiny.key,
        jnp.arange(classes),
        jax.tree.map(jnp.asarray, frozen["bank"]),
        photos=config.joint.photos,
        templates=len(prompts.slot),
    )

    draws = jax.tree.map(np.asarray, draws)

    def text(vectors, template):
        slot = prompts.slot[template] + np.arange(config.vectors)
        pool_at = slot[-1] if config.pool == "placeholder" else prompts.end[template]
        table = jnp.asarray(params["token_embedding"])
        embedded = table[prompts.ids[template]].at[slot].set(vectors)
        output = tower.apply({"params": params}, embedded[None], jnp.asarray(pool_at)[None])
        feature = output.pooled[0] @ projection
        return feature / jnp.linalg.norm(feature)

    def loss(tokens):
        texts = jnp.stack([text(tokens[k], draws.template[k]) for k in range(classes)])
        errors, hits = [], []
        for k, bank in enumerate(banks):
            asked = draws.photo[k][draws.share[k] > 0]
            for photo in bank[asked]:
                cosines = texts @ photo / np.linalg.norm(photo)
                logits = config.joint.logit_scale * cosines
                errors.append((jax.nn.logsumexp(logits) - logits[k]) / len(asked))
                hits.append((logits.argmax() == k) / len(asked))
        ce = sum(errors)
        return config.gamma * config.joint.weight * ce, (ce / classes, sum(hits) / classes)

    differentiate = jax.jit(jax.value_and_grad(loss, has_aux=True), compiler_options=QUICK)
    return differentiate(tiny.tokens[:classes])


def nested(changes):
    """The same settings, with groups of fields as mappings."""
    plain = {name: value for name, value in changes.items() if "." not in name}
    joint = {name[6:]: value for name, value in changes.items() if "." in name}
    return plain | ({"joint": joint} if joint else {})


@functools.cache
def trained(devices=1, chunk=0):
    settings = nested(JOINT | OPTIONS) | {"gamma": 0.5, "samples": 1}
    tiny = problem(devices=devices, classes_per_chunk=chunk, **settings)
    return tiny, tiny.differentiate(devices)


@functools.cache
def trained_by_defaults():
    tiny = problem(**JOINT)
    return tiny, tiny.differentiate()


@pytest.mark.parametrize("made", [trained_by_defaults, trained], ids=["defaults", "every option"])
def test_the_term_is_that_of_loops(made):
    tiny, found = made()
    (loss, (ce, accuracy)), gradient = plainly(tiny)
    np.testing.assert_allclose(found.value, loss, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["mcti/joint_ce"], ce, rtol=1e-5)
    np.testing.assert_allclose(found.metrics["mcti/joint_accuracy"], accuracy, rtol=1e-5)
    assert np.abs(found.gradient[0] - gradient).max() < 1e-4 * np.abs(gradient).max()


@pytest.mark.parametrize(("devices", "chunk"), [(2, 2), (8, 0)], ids=str)
def test_devices_and_chunks_change_nothing(devices, chunk):
    """Five classes leave a remainder in both, whose rows learn nothing."""
    expected, found = trained()[1], trained(devices, chunk)[1]
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-5)
    assert found.metrics == pytest.approx(expected.metrics, rel=1e-5)
    error = np.abs(found.gradient - expected.gradient).max()
    assert error < 1e-4 * np.abs(expected.gradient).max()
    assert found.gradient.any(axis=(2, 3)).all() and not found.rows[5:].any()


@pytest.fixture(scope="module")
def outcome():
    """Of both terms on two devices, with plain textual inversion beside it."""
    return problem(classification="both", compare_ti=True, devices=2).differentiate(2)


def test_both_are_the_sum_of_the_two_and_plain_inversion_takes_no_part(outcome):
    paper = problem(classification="paper", compare_ti=True).differentiate()
    expected = paper.gradient + 0
    expected[0] += trained_by_defaults()[1].gradient[0]
    error = np.abs(outcome.gradient - expected).max(axis=(1, 2, 3))
    assert (error < 1e-4 * np.abs(expected).max(axis=(1, 2, 3))).all()
    assert {name: outcome.metrics[name] for name in paper.metrics} == pytest.approx(
        paper.metrics, rel=1e-5
    )


def test_only_text_features_cross_devices(outcome):
    """Ten rows of text features; a token's gradient does not leave its device."""
    found = {each.kind: each for each in collectives(outcome.program)}
    assert set(found) == {"all-gather", "reduce-scatter", "all-reduce"}
    features = 10 * FEATURES * 4
    assert found["all-gather"].bytes == found["reduce-scatter"].bytes == features
    assert found["all-reduce"].largest <= 64


def test_every_class_reads_every_token():
    program, (trainable, *others) = trained()[0].compiled()
    _, before = program(trainable, *others)
    moved = {"tokens": trainable["tokens"].at[2].multiply(np.linspace(-1, 1, 32))}
    _, after = program(moved, *others)
    change = np.abs(np.asarray(before["tokens"] - after["tokens"])).max(axis=(1, 2))
    assert (change > 1e-3 * np.abs(before["tokens"]).max()).all()


def test_the_papers_form_does_not_know_of_the_joint_term():
    """The same program, to the letter, whatever the joint term's settings are."""
    texts = [
        problem(**nested({"alpha": 0.0, **changes})).lowered()[0].as_text()
        for changes in ({}, {"joint.weight": 9.0, "joint.photos": 1})
    ]
    assert texts[0] == texts[1] and "all_gather" not in texts[0]


@pytest.mark.parametrize(("devices", "learned"), [(1, (3,)), (2, (1, 4))], ids=str)
def test_classes_that_stay_take_part_as_if_they_were_learned(devices, learned):
    """A token's gradient is the same, whether those of the other classes are learned or known."""
    whole, expected = trained()
    found = learning(whole, learned, devices).differentiate(devices)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-5)
    error = np.abs(found.gradient[0] - expected.gradient[0][list(learned)]).max()
    assert error < 1e-4 * np.abs(expected.gradient[0]).max()
    assert not found.rows[len(learned) :].any()


def test_names_take_part_with_their_texts_and_ask_nothing():
    """Classes 0, 2 and 3 of the whole problem stand for names: their texts count, images do not."""
    whole, _ = trained()
    rows = whole.frozen["rows"]
    silent = np.isin(rows.label, (0, 2, 3))
    frozen = whole.frozen | {"rows": rows.replace(gamma=np.where(silent, 0, rows.gamma))}
    expected = replace(whole, frozen=frozen).differentiate()

    texts = learning(whole, (1, 4)).frozen["kept"].texts
    bank = jax.tree.map(jnp.asarray, whole.frozen["bank"])
    draw = functools.partial(draw_joint, whole.key, bank=bank, photos=3, templates=texts.shape[1])
    theirs, ours = (np.asarray(draw(jnp.array(x)).template) for x in ((0, 2, 3), (5, 6, 7)))
    names = np.full_like(texts, 0.1)
    names[np.arange(3), ours] = texts[np.arange(3), theirs]
    found = learning(whole, (1, 4), 2, names).differentiate(2)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-5)
    error = np.abs(found.gradient[0] - expected.gradient[0][[1, 4]]).max()
    assert error < 1e-4 * np.abs(expected.gradient[0]).max()


def test_the_papers_term_of_some_classes_is_that_of_all():
    whole = problem(classification="paper", alpha=0.0)
    expected = whole.differentiate().gradient[0]
    found = learning(whole, (4, 0)).differentiate().gradient[0]
    assert np.abs(found - expected[[4, 0]]).max() < 1e-4 * np.abs(expected).max()
