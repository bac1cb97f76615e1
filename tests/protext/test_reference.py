"""Loss, gradients and updates against the reference's step in PyTorch."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

from benchmarks.protext_torch import TorchStep, published
from common.training.mesh import make_mesh
from common.weights.clip import HF_TEXT_TOWER
from common.weights.table import to_flax
from protext_jax.method import ProText
from protext_jax.runs import RunSetting
from tests.protext.test_schedule import closed_form
from tests.protext.tiny import QUICK, make_problem, settings, wider

TEXT = wider(layers=4, width=32, projection=16)
RATE, EPOCHS, STEPS = 0.03, 30, 8  # five steps of warm-up, three at the full rate


def sentences(problem):
    """Token ids of one made-up sentence per pair."""
    rng = np.random.default_rng(7)
    ids = np.full((len(problem.label), TEXT.positions), TEXT.pad, np.int32)
    for row in ids:
        words = rng.integers(0, TEXT.bos, rng.integers(2, 20))
        row[: len(words) + 2] = [TEXT.bos, *words, TEXT.eos]
    return ids


def flax_params(step):
    params = to_flax(HF_TEXT_TOWER, published(step.state()))
    return params | {"projection": {"kernel": step.model.text_projection.weight.numpy().T.copy()}}


def make_pair(length, half=False):
    """The oracle, and ours with the same weights, prompts and sentences."""
    torch.manual_seed(length)
    start = make_problem(length, 3, text=TEXT).prompts[0]
    theirs = TorchStep(TEXT, start, RATE, half)
    theirs.disturb()
    params = flax_params(theirs)
    problem = make_problem(length, 3, text=TEXT, params=params)
    texts = sentences(problem)
    targets = theirs.encode(texts, prompted=False).numpy()
    return theirs, replace(problem, targets=targets), texts


def updates(problem, shards, half=False):
    """Losses of the updates, the first gradient, and the prompts after the last."""
    objective, source = problem.objective(half=half), problem.batches(shards)
    optimizer = optimizer_of()

    def update(prompts, state, frozen, batch):
        grad = jax.value_and_grad(objective.__call__, has_aux=True)
        (loss, _), gradient = grad({"prompts": prompts}, frozen, batch)
        change, state = optimizer.update(gradient, state, {"prompts": prompts})
        return prompts + change["prompts"], state, loss, gradient["prompts"]

    run = jax.jit(update, compiler_options=QUICK)
    prompts, frozen = jnp.asarray(problem.prompts), problem.frozen()
    state, losses, gradients = optimizer.init({"prompts": prompts}), [], []
    with jax.set_mesh(make_mesh(1, 1)):
        for step in range(STEPS):
            prompts, state, loss, gradient = run(prompts, state, frozen, source.batch(step))
            losses.append(float(loss))
            gradients.append(np.asarray(gradient[0]))
    return losses, gradients[0], np.asarray(prompts[0])


def optimizer_of():
    """The method's own, with an epoch per step."""
    method = ProText(settings(updates=EPOCHS))
    method.plan = SimpleNamespace(runs=(RunSetting(RATE, EPOCHS, 0),), per_epoch=1)
    return method.optimizer()


def their_updates(theirs, problem, texts):
    source = problem.batches()
    losses, gradient = [], None
    for step in range(STEPS):
        theirs.optimizer.param_groups[0]["lr"] = closed_form(step, EPOCHS, RATE)
        rows = source.batch(step)["rows"][0]
        losses.append(theirs.update(problem.ids[problem.label[rows]], texts[rows]))
        gradient = gradient or [p.grad.numpy().copy() for p in theirs.prompts]
    return losses, gradient, [p.detach().numpy() for p in theirs.prompts]


@pytest.mark.parametrize("length", [4, 16])
def test_updates_through_warm_up_and_cosine(length):
    theirs, problem, texts = make_pair(length)
    losses, gradient, prompts = their_updates(theirs, problem, texts)
    for shards in (0, 1):  # the plain step, the fast one
        own = updates(problem, shards)
        np.testing.assert_allclose(own[0][0], losses[0], rtol=1e-6)
        np.testing.assert_allclose(own[0], losses, rtol=5e-5)
        for found, wanted in zip(own[1], gradient, strict=True):
            assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
        np.testing.assert_allclose(own[2], prompts, atol=5e-5)


def test_the_float16_rounding():
    theirs, problem, texts = make_pair(4, half=True)
    losses, gradient, _ = their_updates(theirs, problem, texts)
    own = updates(problem, 0, half=True)
    np.testing.assert_allclose(own[0], losses, rtol=1e-4)
    for found, wanted in zip(own[1], gradient, strict=True):
        assert np.abs(found - wanted).max() < 5e-4 * np.abs(wanted).max()
    exact = updates(problem, 0)[1]
    assert any(
        np.abs(a - b).max() > 1e-5 * np.abs(b).max() for a, b in zip(exact, own[1], strict=True)
    )


def test_the_oracle_is_the_published_model_without_prompts():
    theirs, _, texts = make_pair(4)
    own = theirs.model(torch.from_numpy(texts.astype(np.int64))).text_embeds.detach()
    own = own / own.norm(dim=-1, keepdim=True)
    np.testing.assert_allclose(theirs.encode(texts, prompted=False), own, atol=1e-6)
