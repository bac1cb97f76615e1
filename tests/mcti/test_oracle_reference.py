"""One training step against PyTorch, level by level, with every random choice as an input."""

import functools
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.classifier import class_features, prompt_features
from mcti_jax.draws import Draws
from mcti_jax.losses import classify, read_prompts, row_losses
from mcti_jax.method import MCTI
from mcti_jax.objective import prepare
from mcti_jax.prompts import Prompts
from tests.mcti import plain, tiny

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.reference

ALPHA, GAMMA, SCALE, SAMPLES = 0.8, 0.6, 10.0, 4
# Prompts as long as the 27 real ones: 4, 5 or 7 words in front of the slot.
WORDS = np.random.default_rng(0).integers(0, 1000, (27, 7)).astype(str)
LENGTHS = [4] * 8 + [5] * 17 + [7] * 2
TEMPLATES = [" ".join([*words[:n], "{}"]) for words, n in zip(WORDS, LENGTHS, strict=True)]
LABELS = np.repeat(np.arange(3), (2, 1, 3))


@dataclass(frozen=True)
class Pair:
    """Their networks, ours, and the photos that both learn from."""

    oracle: object
    problem: tiny.Problem

    def samples(self, draws, label):
        return list(plain.samples_of(self.problem, draws, label))

    def table(self, vectors):
        """Their token table with the class's vectors in its last row."""
        table = self.oracle.table.clone()
        table[-1] = torch.from_numpy(vectors[0].copy())
        return table

    def micro_steps(self, table, draws, label):
        step = functools.partial(
            self.oracle.micro_step, alpha=ALPHA, gamma=GAMMA, logit_scale=SCALE
        )
        return [step(table, sample) for sample in self.samples(draws, label)]


@pytest.fixture(scope="module")
def pair():
    from tests.mcti import oracle

    theirs = oracle.Oracle()
    config = tiny.settings(alpha=ALPHA, gamma=GAMMA, logit_scale=SCALE)
    rng = np.random.default_rng(1)
    photos = tiny.random_photos(LABELS, (16, 16, 4))
    features = 3 * rng.standard_normal((2, len(LABELS), oracle.FEATURES))
    photos = replace(photos, features=features.astype(np.float32))
    prompts = Prompts.from_templates(tiny.NumberTokenizer(), TEMPLATES)
    ours = tiny.assemble(config, oracle.networks(), theirs.params(), prompts, photos)
    return Pair(theirs, ours)


def draw(pair, seed=0):
    """Every random choice of one update, by NumPy."""
    rng = np.random.default_rng(seed)
    frozen, shape = pair.problem.frozen, (3, SAMPLES)
    noise, posterior = rng.standard_normal((2, *shape, 16, 16, 4)).astype(np.float32)
    counts = frozen["bank"].counts
    draws = Draws(
        entry=rng.integers(0, frozen["rows"].entries[:, None], shape),
        posterior=posterior,
        noise=noise,
        timestep=rng.integers(0, 1000, shape),
        template=rng.integers(0, 27, shape),
        feature=rng.integers(0, counts, (*shape, 1, 3)),
    )
    return jax.tree.map(jnp.asarray, draws)


@functools.partial(jax.jit, static_argnums=0, compiler_options=tiny.QUICK)
def losses(networks, tokens, frozen, rows, draws):
    """Sum over rows, with the rows' own losses and parts, and the gradient."""

    def total(tokens):
        values, parts = row_losses(
            networks,
            frozen,
            tokens,
            rows,
            draws,
            logit_scale=SCALE,
            gamma_factor=jnp.ones(()),
        )
        return values.sum(), (values, parts)

    (_, found), gradient = jax.value_and_grad(total, has_aux=True)(tokens)
    return *found, gradient


def ours(pair, tokens, draws, rows=slice(None), networks=None):
    """Our losses of some rows; the gradient of each is its own."""
    frozen = jax.tree.map(jnp.asarray, dict(pair.problem.frozen))
    frozen.pop("start")
    own, draws, tokens = jax.tree.map(
        lambda x: x[rows], (frozen.pop("rows"), draws, jnp.asarray(tokens))
    )
    networks = networks or pair.problem.objective.networks
    return losses(networks, tokens, frozen, own, draws)


def close(actual, desired, tolerance=1e-5):
    desired = np.asarray(desired)
    assert np.shape(actual) == desired.shape
    assert np.abs(actual - desired).max() < tolerance * np.abs(desired).max()


def same_direction(actual, desired, cosine=1 - 1e-6):
    actual, desired = np.ravel(actual), np.ravel(desired)
    assert actual @ desired > cosine * np.linalg.norm(actual) * np.linalg.norm(desired)


@pytest.fixture(scope="module")
def draws(pair):
    return draw(pair)


@pytest.fixture(scope="module")
def steps(pair, draws):
    """Their four micro-steps of each class."""
    tokens = pair.problem.tokens
    return [pair.micro_steps(pair.table(tokens[k]), draws, k) for k in range(3)]


@functools.partial(jax.jit, static_argnums=0, compiler_options=tiny.QUICK)
def read(tower, params, prompts, template, vectors):
    return read_prompts(tower, params, prompts, template, vectors)


@pytest.mark.parametrize("pool", ["placeholder", "eos"])
def test_l1_text(pair, draws, steps, pool):
    problem, label = pair.problem, 1
    params = problem.frozen["params"]["text"]
    output = read(
        problem.objective.networks.text,
        params,
        jax.tree.map(jnp.asarray, prepare(params["token_embedding"], problem.prompts, pool)),
        draws.template[label],
        jnp.repeat(problem.tokens[label][None], SAMPLES, axis=0),
    )
    hidden = np.concatenate([step.hidden.numpy() for step in steps[label]])
    close(output.last_hidden_state, hidden)
    end = problem.prompts.end[draws.template[label]]
    pooled = {
        "placeholder": np.concatenate([step.pooled.numpy() for step in steps[label]]),
        "eos": hidden[np.arange(SAMPLES), end],
    }
    close(output.pooled, pooled[pool])
    assert np.abs(pooled["eos"] - pooled["placeholder"]).max() > 0.1


def test_l2_classifier(pair, draws, steps):
    for label in range(3):
        texts = np.concatenate([step.text.numpy() for step in steps[label]])
        bank = pair.problem.frozen["bank"].features
        images = jnp.asarray(bank[np.arange(3), draws.feature[label]])
        ce, hit = classify(jnp.asarray(texts), images, jnp.full(SAMPLES, label), SCALE)
        close(ce, [step.ce.numpy() for step in steps[label]])
        assert hit.tolist() == [float(step.logits.argmax() == label) for step in steps[label]]


@pytest.mark.parametrize("scale", [10.0, 100.0])
def test_l2_closed_form_in_float64(scale):
    """(I - u u^T) F^T (softmax - onehot) s / |text|, which the other tests rely on."""
    from tests.mcti.synthetic_bank import synthetic_bank, unit

    images = torch.from_numpy(unit(synthetic_bank()[0].astype(np.float64))[::5])
    text = 9 * images[3] + torch.from_numpy(np.random.default_rng(0).normal(size=768))
    text.requires_grad_()
    u = text / text.norm()
    logits = scale * images @ u
    torch.nn.functional.cross_entropy(logits[None], torch.tensor([3])).backward()
    with torch.no_grad():
        wrong = images.T @ (logits.softmax(0) - torch.eye(len(images), dtype=torch.float64)[3])
        closed = scale * (wrong - u * (u @ wrong)) / text.norm()
    assert (text.grad - closed).abs().max() < 1e-15


def test_l3_vae(pair):
    from tests.mcti import oracle

    rng = np.random.default_rng(2)
    pixels = rng.uniform(-1, 1, (1, 16, 32, 3)).astype(np.float32)
    noise = rng.standard_normal((1, 8, 16, 4)).astype(np.float32)
    with torch.no_grad():
        dist = pair.oracle.vae.encode(oracle.channels_first(pixels[0])).latent_dist
    latents = (dist.mean + dist.std * oracle.channels_first(noise[0])) * 0.18215
    params = {"params": pair.problem.frozen["params"]["vae"]}
    moments = jax.jit(
        lambda params, x: oracle.vae().apply(params, x, method="encode"),
        compiler_options=tiny.QUICK,
    )(params, pixels)
    close(moments.mean[0], oracle.channels_last(dist.mean))
    close(moments.logvar[0], oracle.channels_last(dist.logvar))
    close(tiny.LATENT_SCALE * moments.sample(noise)[0], oracle.channels_last(latents))
    assert oracle.vae().config.scaling_factor == tiny.LATENT_SCALE


def test_l4_diffusion(pair, draws, steps):
    from tests.mcti import oracle

    networks, label = pair.problem.objective.networks, 2
    samples = pair.samples(draws, label)
    mean, logvar = (np.stack([x[name] for x in samples]) for name in ("mean", "logvar"))
    latents = 0.18215 * (mean + np.exp(logvar / 2) * draws.posterior[label])
    noisy = networks.schedule.add_noise(latents, draws.noise[label], draws.timestep[label])
    close(noisy, np.stack([oracle.channels_last(step.noisy) for step in steps[label]]))
    states = np.concatenate([step.hidden.numpy() for step in steps[label]])
    predicted = jax.jit(networks.unet.apply, compiler_options=tiny.QUICK)(
        {"params": pair.problem.frozen["params"]["unet"]}, noisy, draws.timestep[label], states
    )
    close(predicted, np.stack([oracle.channels_last(step.predicted) for step in steps[label]]))


def their_gradient(pair, vectors, draws, label):
    """Of the class's loss with respect to the whole token table."""
    table = pair.table(vectors).requires_grad_()
    loss = torch.stack([x.loss for x in pair.micro_steps(table, draws, label)]).mean()
    loss.backward()
    return loss.item(), table.grad.numpy()


def test_l5_loss_and_gradient_three_ways(pair, draws, steps):
    """All classes at once; each alone; and the learned row of a whole table's gradient."""
    tokens = pair.problem.tokens
    values, parts, together = ours(pair, tokens, draws)
    for label in range(3):
        loss, table = their_gradient(pair, tokens[label], draws, label)
        np.testing.assert_allclose(values[label], loss, rtol=1e-6)
        for part in ("mse", "ce"):
            wanted = np.mean([getattr(step, part).item() for step in steps[label]])
            np.testing.assert_allclose(parts[part][label], wanted, rtol=2e-6)
        _, _, alone = ours(pair, tokens, draws, rows=slice(label, label + 1))
        for gradient in (together[label, 0], alone[0, 0]):
            close(gradient, table[-1], 1e-4)
            same_direction(gradient, table[-1])


def test_l5_bfloat16_unet(pair, draws):
    from tests.mcti import oracle

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


def test_l7_ensemble_of_whole_prompts(pair):
    """Ours reads prompts without padding, theirs all 77 positions."""
    problem = pair.problem
    params = problem.frozen["params"]
    cut = prepare(params["text"]["token_embedding"], problem.prompts.cut(), "placeholder")
    assert cut.embedded.shape[1] == 10
    features = prompt_features(
        problem.objective.networks.text,
        params["text"],
        jnp.asarray(params["projection"]),
        jax.tree.map(jnp.asarray, cut),
        jnp.asarray(problem.tokens),
    )
    found = class_features(features)
    for label, vectors in enumerate(problem.tokens):
        with torch.no_grad():
            output = pair.oracle.encode_text(pair.table(vectors), problem.prompts.ids)
            texts = pair.oracle.text_projection(output.pooler_output)
        texts = torch.nn.functional.normalize(texts, dim=-1)
        close(features[label], texts.numpy())
        close(found[label], torch.nn.functional.normalize(texts.mean(0), dim=0).numpy())
