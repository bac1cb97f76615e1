"""Loss, gradient and updates against PyTorch, with every random choice as an input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.method import MCTI

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.reference

from tests.mcti import oracle
from tests.mcti.pair import SAMPLES, close, draw, make_pair, ours, same_direction


@pytest.fixture(scope="module")
def pair():
    return make_pair()


@pytest.fixture(scope="module")
def draws(pair):
    return draw(pair)


def their_gradient(pair, vectors, draws, label):
    """Of the class's loss with respect to the whole token table."""
    table = pair.table(vectors).requires_grad_()
    loss = torch.stack([x.loss for x in pair.micro_steps(table, draws, label)]).mean()
    loss.backward()
    return loss.item(), table.grad.numpy()


def test_l5_loss_and_gradient_three_ways(pair, draws):
    """All classes at once; each alone; and the learned row of a whole table's gradient."""
    tokens = pair.problem.tokens
    values, parts, together = ours(pair, tokens, draws)
    for label in range(3):
        loss, table = their_gradient(pair, tokens[label], draws, label)
        np.testing.assert_allclose(values[label], loss, rtol=1e-6)
        steps = pair.micro_steps(pair.table(tokens[label]), draws, label)
        for part in ("mse", "ce"):
            wanted = np.mean([getattr(step, part).item() for step in steps])
            np.testing.assert_allclose(parts[part][label], wanted, rtol=2e-6)
        _, _, alone = ours(pair, tokens, draws, rows=slice(label, label + 1))
        for gradient in (together[label, 0], alone[0, 0]):
            close(gradient, table[-1], 1e-4)
            same_direction(gradient, table[-1])


def test_l5_bfloat16_unet(pair, draws):
    tokens = pair.problem.tokens
    exact, _, gradient = ours(pair, tokens, draws)
    rounded, _, near = ours(pair, tokens, draws, networks=oracle.networks("bfloat16"))
    np.testing.assert_allclose(rounded, exact, rtol=1e-2)
    same_direction(near, gradient, cosine=0.99)


def their_updates(pair, label, updates):
    """AdamW on the whole table, all rows but the learned one put back after each update."""
    table = torch.nn.Parameter(pair.table(pair.problem.tokens[label]))
    before = table.detach().clone()
    optimizer = torch.optim.AdamW([table], lr=5e-4 * SAMPLES, weight_decay=1e-2)
    for seed in updates:
        for step in pair.micro_steps(table, draw(pair, seed), label):
            (step.loss / SAMPLES).backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            table[:-1] = before[:-1]
    state = optimizer.state[table]
    return [x.detach().numpy()[-1] for x in (table, state["exp_avg"], state["exp_avg_sq"])]


def test_l6_updates(pair):
    """Three updates of all classes, then one in which only the last class has data."""
    optimizer = MCTI(pair.problem.objective.config).optimizer()
    tokens = jnp.asarray(pair.problem.tokens)
    state = optimizer.init(tokens)
    for seed in (0, 1, 2):
        gradient = ours(pair, tokens, draw(pair, seed))[2]
        change, state = optimizer.update(gradient, state, tokens)
        tokens = tokens + change

    last = slice(2, 3)
    gradient = ours(pair, tokens, draw(pair, 3), rows=last)[2]
    own = jax.tree.map(lambda x: x[last] if x.ndim else x, state)
    change, own = optimizer.update(gradient, own, tokens[last])
    found = [
        *((tokens[k], state[0].mu[k], state[0].nu[k]) for k in range(2)),
        (tokens[2] + change[0], own[0].mu[0], own[0].nu[0]),
    ]
    for label, (vectors, mu, nu) in enumerate(found):
        seeds = (0, 1, 2, 3) if label == 2 else (0, 1, 2)
        wanted = their_updates(pair, label, seeds)
        np.testing.assert_allclose(vectors[0], wanted[0], atol=1e-5)
        close(mu[0], wanted[1], 1e-4)
        close(nu[0], wanted[2], 1e-4)
