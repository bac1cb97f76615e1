"""MC-TI's loss as the reference computes it: class by class, sample by sample, nothing cached.

The frozen modules are the package's own (other tests compare them with PyTorch); how they are
put together is written a second time, from the description of the method.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mcti_jax.draws import draw
from tests.mcti.tiny import QUICK


def micro_step(problem, vectors, sample):
    """Loss of one picture of one class, with metrics; `sample` holds every random choice."""
    networks, config = problem.objective.networks, problem.objective.config
    params = problem.frozen["params"]
    slot = sample["slot"] + jnp.arange(config.vectors)
    pool_at = slot[-1] if config.pool == "placeholder" else sample["end"]

    def encode(tower, params):
        table = jnp.asarray(params["token_embedding"])
        embedded = table[sample["ids"]].at[slot].set(vectors)
        return tower.apply({"params": params}, embedded[None], pool_at[None])

    output = encode(networks.text[0].tower, params["text"])

    error = 0.0
    if networks.unet:
        deviation = jnp.exp(sample["logvar"] / 2)
        latents = 0.18215 * (sample["mean"] + deviation * sample["posterior"])
        share = jnp.asarray(networks.schedule.alphas_cumprod)[sample["timestep"]]
        noisy = jnp.sqrt(share) * latents + jnp.sqrt(1 - share) * sample["noise"]
        predicted = networks.unet.apply(
            {"params": params["unet"]},
            noisy[None],
            sample["timestep"][None],
            output.last_hidden_state,
        )
        error = jnp.mean((predicted[0] - sample["noise"]) ** 2)

    if networks.clip_text:
        output = encode(networks.clip_text, params["clip_text"])
    text = output.pooled[0] @ params["projection"]
    images = sample["images"] / jnp.linalg.norm(sample["images"], axis=1, keepdims=True)
    logits = config.logit_scale * images @ (text / jnp.linalg.norm(text))
    ce = jax.nn.logsumexp(logits) - logits[sample["label"]]
    loss = config.alpha * error + config.gamma * ce
    return loss, {"mse": error, "ce": ce, "bank_accuracy": logits.argmax() == sample["label"]}


def all_draws(problem):
    """The random choices of every class, one row each, that the problem's key stands for."""
    config, photos = problem.objective.config, problem.photos
    counts = jnp.asarray(2 * np.bincount(photos.labels))
    return draw(
        problem.key,
        jnp.arange(len(counts)),
        counts,
        counts,
        samples=config.samples,
        feature_draws=1,
        latent=photos.mean.shape[2:],
        timesteps=1000,
        templates=len(problem.prompts.slot),
        shared_features=config.shared_features,
    )


def samples_of(problem, draws, label):
    """The m samples of one class, with what was drawn in the place of what to draw."""
    photos, prompts = problem.photos, problem.prompts
    banks = [photos.entries("features", each) for each in range(problem.layout.classes)]
    for i in range(problem.objective.config.samples):
        one = jax.tree.map(lambda x, i=i: np.asarray(x)[label, i], draws)
        yield {
            "label": np.int32(label),
            "ids": prompts.ids[one.template],
            "slot": prompts.slot[one.template],
            "end": prompts.end[one.template],
            "mean": photos.entries("mean", label)[one.entry],
            "logvar": photos.entries("logvar", label)[one.entry],
            "posterior": one.posterior,
            "noise": one.noise,
            "timestep": one.timestep,
            "images": np.stack([bank[j] for bank, j in zip(banks, one.feature[0], strict=True)]),
        }


def train_alone(problem):
    """What K runs of the reference would give: loss, metrics and gradient of each class."""
    differentiate = jax.jit(
        jax.value_and_grad(lambda v, sample: micro_step(problem, v, sample), has_aux=True),
        compiler_options=QUICK,
    )
    draws, found = jax.jit(lambda: all_draws(problem), compiler_options=QUICK)(), []
    for label, vectors in zip(range(problem.layout.classes), problem.tokens, strict=False):
        micro = [differentiate(vectors, x) for x in samples_of(problem, draws, label)]
        found.append(jax.tree.map(lambda *x: np.mean(x, axis=0), *micro))
    return jax.tree.map(lambda *x: np.stack(x), *found)
