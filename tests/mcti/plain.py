"""MC-TI's loss as the reference computes it: class by class, sample by sample, nothing cached.

The frozen modules are the package's own (other tests compare them with PyTorch); how they are
put together is written a second time, from the description of the method.
"""

import jax
import jax.numpy as jnp
import numpy as np

from mcti_jax.draws import draw


def micro_step(problem, vectors, sample):
    """Loss of one picture of one class, with metrics; `sample` holds every random choice."""
    networks, config, params = (
        problem.objective.networks,
        problem.objective.config,
        problem.frozen["params"],
    )
    slot = sample["slot"] + jnp.arange(config.vectors)
    embedded = params["text"]["token_embedding"][sample["ids"]].at[slot].set(vectors)
    pool_at = slot[-1] if config.pool == "placeholder" else sample["end"]
    output = networks.text.apply({"params": params["text"]}, embedded[None], pool_at[None])

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

    text = output.pooled[0] @ params["projection"]
    images = sample["images"] / jnp.linalg.norm(sample["images"], axis=1, keepdims=True)
    logits = config.logit_scale * images @ (text / jnp.linalg.norm(text))
    ce = jax.nn.logsumexp(logits) - logits[sample["label"]]
    loss = config.alpha * error + config.gamma * ce
    return loss, {"mse": error, "ce": ce, "bank_accuracy": logits.argmax() == sample["label"]}


def samples_of(problem, label):
    """The m samples of one class in the update that the problem's key stands for."""
    config, photos, prompts = problem.objective.config, problem.photos, problem.prompts
    classes = problem.layout.classes
    mean, logvar = (photos.entries(field, label) for field in ("mean", "logvar"))
    banks = [photos.entries("features", each) for each in range(classes)]
    draws = draw(
        problem.key,
        jnp.asarray([label]),
        jnp.asarray([len(mean)]),
        jnp.asarray([len(bank) for bank in banks]),
        samples=config.samples,
        feature_draws=1,
        latent=mean.shape[1:],
        timesteps=1000,
        templates=len(prompts.slot),
        shared_features=config.shared_features,
    )
    for i in range(config.samples):
        one = jax.tree.map(lambda x, i=i: np.asarray(x)[0, i], draws)
        yield {
            "label": np.int32(label),
            "ids": prompts.ids[one.template],
            "slot": prompts.slot[one.template],
            "end": prompts.end[one.template],
            "mean": mean[one.entry],
            "logvar": logvar[one.entry],
            "posterior": one.posterior,
            "noise": one.noise,
            "timestep": one.timestep,
            "images": np.stack([banks[j][one.feature[0, j]] for j in range(classes)]),
        }


def train_alone(problem):
    """What K runs of the reference would give: loss, metrics and gradient of each class."""
    differentiate = jax.jit(
        jax.value_and_grad(lambda v, sample: micro_step(problem, v, sample), has_aux=True)
    )
    found = []
    for label in range(problem.layout.classes):
        vectors = problem.tokens[label]
        micro = [differentiate(vectors, sample) for sample in samples_of(problem, label)]
        found.append(jax.tree.map(lambda *x: np.mean(x, axis=0), *micro))
    return jax.tree.map(lambda *x: np.stack(x), *found)
