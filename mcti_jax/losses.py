"""The two terms of the paper's objective, for a batch of independent rows.

A row is one class under one setting. Its loss (paper section 3; reference `mcti.py` 872-928) is
the mean over m samples of

    alpha * mean((unet(x_t, t, h) - target)^2)  +  gamma * CE(s * cos(u, f_1 .. f_K), own class)

with h the text states of a prompt that holds the row's token, u its projected class feature and
f_j one image feature drawn from class j.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from common.clip.encode import unit
from common.diffusion.added import AddedConditions
from mcti_jax.conditions import conditions_of, read_prompts
from mcti_jax.draws import Draws
from mcti_jax.networks import Networks
from mcti_jax.widths import split


@flax.struct.dataclass
class Rows:
    """What belongs to each row; every leaf begins with the row axis.

    Attributes:
      label: Index of its class, `[r]`; also what its random draws depend on, so that two
        settings of one class are compared on the same draws.
      alpha: Weight of the denoising term, `[r]`.
      gamma: Weight of the classification term at the first update, `[r]`.
      mean, logvar: VAE posterior of its pictures and their mirrors, `[r e h w c]`.
      entries: How many of the e are real, `[r]`.
      prompt: Which prompt belongs to each of the e, `[r e]`; None where any may be drawn.
    """

    label: Any
    alpha: Any
    gamma: Any
    mean: Any
    logvar: Any
    entries: Any
    prompt: Any = None


@flax.struct.dataclass
class Bank:
    """Unit-length image features of every class, originals and mirrors pooled.

    Attributes:
      features: `[k e p]`, padded.
      counts: How many of the e are real, `[k]`.
    """

    features: Any
    counts: Any


@flax.struct.dataclass
class Kept:
    """Classes whose texts stay as they are; every leaf begins with their axis, padded.

    Attributes:
      label: Index of each class, `[f]`; K and above are those of names, without images.
      gamma: Weight of what its images ask, `[f]`; 0 for names.
      problem: The variant that its text takes part in, `[f]`: 0, and -1 in the padding.
      texts: Unit-length text feature under each prompt, `[f t p]`.
    """

    label: Any
    gamma: Any
    problem: Any
    texts: Any


def denoising_error(
    networks: Networks,
    params: PyTree,
    states: Float[Array, "b s d"],
    latents: Float[Array, "b h w c"],
    noise: Float[Array, "b h w c"],
    timestep: Int[Array, "b"],
    added: AddedConditions | None = None,
) -> Float[Array, "b"]:
    """Return the mean squared error of the U-Net's prediction, per sample, in float32."""
    noisy = networks.schedule.add_noise(latents, noise, timestep)
    target = networks.schedule.target(latents, noise, timestep)
    conditions = (states,) if added is None else (states, added)
    predicted = networks.unet.apply({"params": params}, noisy, timestep, *conditions)
    return jnp.mean((predicted - target) ** 2, axis=(1, 2, 3))


def classify(
    text: Float[Array, "b p"],
    images: Float[Array, "b f k p"],
    label: Int[Array, "b"],
    scale: float,
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """Return cross-entropy and accuracy of "which of K pictures shows this text's class?".

    Args:
      text: Projected text features, any length.
      images: Unit-length image features, one of each class, in f draws.
      label: The class of each text.
      scale: The logit scale s.
    """
    logits = scale * jnp.einsum("bp,bfkp->bfk", unit(text), images)
    target = jnp.broadcast_to(label[:, None], logits.shape[:2])
    error = optax.softmax_cross_entropy_with_integer_labels(logits, target)
    hit = jnp.argmax(logits, axis=-1) == target
    return error.mean(axis=1), hit.mean(axis=1, dtype=jnp.float32)


def row_losses(
    networks: Networks,
    frozen: PyTree,
    tokens: Float[Array, "r n d"],
    rows: Rows,
    draws: Draws,
    *,
    logit_scale: float,
    gamma_factor: Float[Array, ""],
    classified: bool = True,
) -> tuple[Float[Array, "r"], dict[str, Float[Array, "r"]]]:
    """Return the loss of each row, mean over its m samples, and its parts.

    Args:
      networks: Modules.
      frozen: `params` of the networks, `prompts`, `clip_prompts`, `bank`.
      tokens: The learned vectors, the only thing that is differentiated.
      rows: Caches and weights of the rows.
      draws: The random choices.
      logit_scale: s.
      gamma_factor: What the schedule makes of gamma at this update.
      classified: Whether the classification term is one of the row's losses.
    """
    count, samples = draws.template.shape
    template = draws.template.reshape(-1)
    vectors = jnp.repeat(tokens, samples, axis=0)
    params = frozen["params"]
    outputs = [
        read_prompts(encoder.tower, params[encoder.part.params], prompts, template, part)
        for encoder, prompts, part in zip(
            networks.text, frozen["prompts"], split(vectors, networks.widths), strict=True
        )
    ]

    error = jnp.zeros(count)
    if networks.unet is not None:
        pick = jax.vmap(lambda bank, index: bank[index])
        mean, logvar = pick(rows.mean, draws.entry), pick(rows.logvar, draws.entry)
        latents = networks.latent_scale * (mean + jnp.exp(0.5 * logvar) * draws.posterior)
        flat = [x.reshape(-1, *x.shape[2:]) for x in (latents, draws.noise, draws.timestep)]
        states, added = conditions_of(networks, frozen, outputs, template, latents.shape[-3:-1])
        per_sample = denoising_error(networks, params["unet"], states, *flat, added)
        error = per_sample.reshape(count, samples).mean(axis=1)

    loss, metrics = rows.alpha * error, {"mse": error}
    if not classified:
        return loss, metrics

    output = outputs[networks.class_encoder]
    if networks.clip_text is not None:
        part = networks.class_vectors(vectors)
        output = read_prompts(
            networks.clip_text, params["clip_text"], frozen["clip_prompts"], template, part
        )
    text = output.pooled.astype(jnp.float32) @ params["projection"]
    bank = frozen["bank"]
    picked = bank.features[jnp.arange(bank.counts.size), draws.feature]
    label = jnp.repeat(rows.label, samples)
    ce, hit = classify(text, picked.reshape(-1, *picked.shape[2:]), label, logit_scale)
    ce, hit = (x.reshape(count, samples).mean(axis=1) for x in (ce, hit))
    loss += gamma_factor * rows.gamma * ce
    return loss, metrics | {"ce": ce, "bank_accuracy": hit}
