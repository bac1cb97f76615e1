"""The two terms of the paper's objective, for a batch of independent rows.

A row is one class under one setting. Its loss (paper section 3; reference `mcti.py` 872-928) is
the mean over m samples of

    alpha * mean((unet(x_t, t, h) - target)^2)  +  gamma * CE(s * cos(u, f_1 .. f_K), own class)

with h the text states of a prompt that holds the row's token, u its projected class feature and
f_j one image feature drawn from class j.
"""

from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from common.clip.encode import unit
from common.clip.text import TextOutput, TextTower
from common.diffusion import UNet
from common.diffusion.schedule import NoiseSchedule
from mcti_jax.draws import Draws
from mcti_jax.prompts import insert


@dataclass(frozen=True)
class Networks:
    """The frozen modules, without their parameters.

    Attributes:
      unet: the denoiser; None where no row has a diffusion term.
      schedule: its noise schedule.
      text: text tower whose states condition the U-Net.
      clip_text: text tower of the class feature; None where it is `text` itself.
      latent_scale: factor between VAE latents and the U-Net's (0.18215 for SD 1.x).
    """

    unet: UNet | None
    schedule: NoiseSchedule
    text: TextTower
    clip_text: TextTower | None
    latent_scale: float


@flax.struct.dataclass
class Rows:
    """What belongs to each row; every leaf begins with the row axis.

    Attributes:
      label: index of its class, `[r]`; also what its random draws depend on, so that two
        settings of one class are compared on the same draws.
      alpha: weight of the denoising term, `[r]`.
      gamma: weight of the classification term at the first update, `[r]`.
      mean, logvar: VAE posterior of its pictures and their mirrors, `[r e h w c]`.
      entries: how many of the e are real, `[r]`.
      prompt: which prompt belongs to each of the e, `[r e]`; None where any may be drawn.
    """

    label: Any
    alpha: Any
    gamma: Any
    mean: Any
    logvar: Any
    entries: Any
    prompt: Any = None


@flax.struct.dataclass
class EmbeddedPrompts:
    """Prompts after the embedding table: what the text towers start from.

    Attributes:
      embedded: `[t s d]`.
      slot: `[t]`, where the learned vectors go.
      pool_at: `[t]`, where the class feature is read.
    """

    embedded: Any
    slot: Any
    pool_at: Any


@flax.struct.dataclass
class Bank:
    """Unit-length image features of every class, originals and mirrors pooled.

    Attributes:
      features: `[k e p]`, padded.
      counts: how many of the e are real, `[k]`.
    """

    features: Any
    counts: Any


@flax.struct.dataclass
class Kept:
    """Classes whose texts stay as they are; every leaf begins with their axis, padded.

    Attributes:
      label: index of each class, `[f]`; K and above are those of names, without images.
      gamma: weight of what its images ask, `[f]`; 0 for names.
      problem: the variant that its text takes part in, `[f]`: 0, and -1 in the padding.
      texts: unit-length text feature under each prompt, `[f t p]`.
    """

    label: Any
    gamma: Any
    problem: Any
    texts: Any


def read_prompts(
    tower: TextTower,
    params: PyTree,
    prompts: EmbeddedPrompts,
    template: Int[Array, "b"],
    vectors: Float[Array, "b n d"],
) -> TextOutput:
    """Run the text tower on prompts that hold the given vectors."""
    filled = insert(prompts.embedded[template], prompts.slot[template], vectors)
    return tower.apply({"params": params}, filled, prompts.pool_at[template])


def denoising_error(
    networks: Networks,
    params: PyTree,
    states: Float[Array, "b s d"],
    latents: Float[Array, "b h w c"],
    noise: Float[Array, "b h w c"],
    timestep: Int[Array, "b"],
) -> Float[Array, "b"]:
    """Return the mean squared error of the U-Net's prediction, per sample, in float32."""
    noisy = networks.schedule.add_noise(latents, noise, timestep)
    target = networks.schedule.target(latents, noise, timestep)
    predicted = networks.unet.apply({"params": params}, noisy, timestep, states)
    return jnp.mean((predicted - target) ** 2, axis=(1, 2, 3))


def classify(
    text: Float[Array, "b p"],
    images: Float[Array, "b f k p"],
    label: Int[Array, "b"],
    scale: float,
) -> tuple[Float[Array, "b"], Float[Array, "b"]]:
    """Return cross-entropy and accuracy of "which of K pictures shows this text's class?".

    Args:
      text: projected text features, any length.
      images: unit-length image features, one of each class, in f draws.
      label: the class of each text.
      scale: the logit scale s.
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
      networks: modules.
      frozen: `params` of the networks, `prompts`, `clip_prompts`, `bank`.
      tokens: the learned vectors, the only thing that is differentiated.
      rows: caches and weights of the rows.
      draws: the random choices.
      logit_scale: s.
      gamma_factor: what the schedule makes of gamma at this update.
      classified: whether the classification term is one of the row's losses.
    """
    count, samples = draws.template.shape
    template = draws.template.reshape(-1)
    vectors = jnp.repeat(tokens, samples, axis=0)
    params = frozen["params"]
    output = read_prompts(networks.text, params["text"], frozen["prompts"], template, vectors)

    error = jnp.zeros(count)
    if networks.unet is not None:
        pick = jax.vmap(lambda bank, index: bank[index])
        mean, logvar = pick(rows.mean, draws.entry), pick(rows.logvar, draws.entry)
        latents = networks.latent_scale * (mean + jnp.exp(0.5 * logvar) * draws.posterior)
        flat = [x.reshape(-1, *x.shape[2:]) for x in (latents, draws.noise, draws.timestep)]
        per_sample = denoising_error(networks, params["unet"], output.last_hidden_state, *flat)
        error = per_sample.reshape(count, samples).mean(axis=1)

    loss, metrics = rows.alpha * error, {"mse": error}
    if not classified:
        return loss, metrics

    if networks.clip_text is not None:
        output = read_prompts(
            networks.clip_text, params["clip_text"], frozen["clip_prompts"], template, vectors
        )
    text = output.pooled.astype(jnp.float32) @ params["projection"]
    bank = frozen["bank"]
    picked = bank.features[jnp.arange(bank.counts.size), draws.feature]
    label = jnp.repeat(rows.label, samples)
    ce, hit = classify(text, picked.reshape(-1, *picked.shape[2:]), label, logit_scale)
    ce, hit = (x.reshape(count, samples).mean(axis=1) for x in (ce, hit))
    loss += gamma_factor * rows.gamma * ce
    return loss, metrics | {"ce": ce, "bank_accuracy": hit}
