"""The parts of one training step against PyTorch: text, classifier, autoencoder, denoiser."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mcti_jax.classifier import mean_over_prompts, prompt_features
from mcti_jax.conditions import read_prompts
from mcti_jax.layout import prepare
from mcti_jax.losses import classify
from tests.mcti.synthetic_bank import synthetic_bank, unit
from tests.mcti.tiny import LATENT_SCALE, QUICK

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.reference

from tests.mcti import oracle
from tests.mcti.pair import SAMPLES, SCALE, close, draw, make_pair


@pytest.fixture(scope="module")
def pair():
    return make_pair()


@pytest.fixture(scope="module")
def draws(pair):
    return draw(pair)


@pytest.fixture(scope="module")
def steps(pair, draws):
    """Their four micro-steps of each class."""
    tokens = pair.problem.tokens
    return [pair.micro_steps(pair.table(tokens[k]), draws, k) for k in range(3)]


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def read(tower, params, prompts, template, vectors):
    return read_prompts(tower, params, prompts, template, vectors)


@pytest.mark.parametrize("pool", ["placeholder", "eos"])
def test_l1_text(pair, draws, steps, pool):
    problem, label = pair.problem, 1
    params = problem.frozen["params"]["text"]
    output = read(
        problem.objective.networks.text[0].tower,
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
    rng = np.random.default_rng(2)
    pixels = rng.uniform(-1, 1, (1, 16, 32, 3)).astype(np.float32)
    noise = rng.standard_normal((1, 8, 16, 4)).astype(np.float32)
    with torch.no_grad():
        dist = pair.oracle.vae.encode(oracle.channels_first(pixels[0])).latent_dist
    latents = (dist.mean + dist.std * oracle.channels_first(noise[0])) * 0.18215
    params = {"params": pair.problem.frozen["params"]["vae"]}
    moments = jax.jit(
        lambda params, x: oracle.vae().apply(params, x, method="encode"),
        compiler_options=QUICK,
    )(params, pixels)
    close(moments.mean[0], oracle.channels_last(dist.mean))
    close(moments.logvar[0], oracle.channels_last(dist.logvar))
    close(LATENT_SCALE * moments.sample(jnp.asarray(noise))[0], oracle.channels_last(latents))
    assert oracle.vae().config.scaling_factor == LATENT_SCALE


def test_l4_diffusion(pair, draws, steps):
    networks, label = pair.problem.objective.networks, 2
    samples = pair.samples(draws, label)
    mean, logvar = (np.stack([x[name] for x in samples]) for name in ("mean", "logvar"))
    latents = 0.18215 * (mean + np.exp(logvar / 2) * draws.posterior[label])
    noisy = networks.schedule.add_noise(latents, draws.noise[label], draws.timestep[label])
    close(noisy, np.stack([oracle.channels_last(step.noisy) for step in steps[label]]))
    states = np.concatenate([step.hidden.numpy() for step in steps[label]])
    predicted = jax.jit(networks.unet.apply, compiler_options=QUICK)(
        {"params": pair.problem.frozen["params"]["unet"]}, noisy, draws.timestep[label], states
    )
    close(predicted, np.stack([oracle.channels_last(step.predicted) for step in steps[label]]))


def test_l7_ensemble_of_whole_prompts(pair):
    """Ours reads prompts without padding, theirs all 77 positions."""
    problem = pair.problem
    params = problem.frozen["params"]
    cut = prepare(params["text"]["token_embedding"], problem.prompts.cut(), "placeholder")
    assert cut.embedded.shape[1] == 10
    features = prompt_features(
        problem.objective.networks.text[0].tower,
        params["text"],
        jnp.asarray(params["projection"]),
        jax.tree.map(jnp.asarray, cut),
        jnp.asarray(problem.tokens),
    )
    found = mean_over_prompts(features)
    for label, vectors in enumerate(problem.tokens):
        with torch.no_grad():
            output = pair.oracle.encode_text(pair.table(vectors), problem.prompts.ids)
            texts = pair.oracle.text_projection(output.pooler_output)
        texts = torch.nn.functional.normalize(texts, dim=-1)
        close(features[label], texts.numpy())
        close(found[label], torch.nn.functional.normalize(texts.mean(0), dim=0).numpy())
