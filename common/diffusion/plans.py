"""Sampling as a table of coefficients: a plan.

Every step of each sampler is one linear combination of a few terms: the current latents, what
the model's output implies now and implied before, latents that were laid aside, and fresh noise.
So a sampler is a table of coefficients, made on the host in float64, and one scan runs them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from common.diffusion.schedule import NoiseSchedule
from common.diffusion.spacing import (
    Column,
    all_sigmas,
    rescheduled,
    sigma_to_time,
    timesteps,
)

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A linear combination for each step.

    Attributes:
      latents: Weight of the current latents.
      estimates: Weights of what the model's outputs imply, this step's first.
      aside: Weight of the latents that were laid aside; None where no step uses them.
    """

    latents: Column
    estimates: Float[np.ndarray, "steps lags"]
    aside: Column | None = None


@dataclass(frozen=True)
class SamplingPlan:
    """The coefficients of each call of the model; a `Column` holds one number for each.

    Attributes:
      timestep: The timestep that the model takes.
      input_scale: The factor of the latents in front of the model.
      alpha: Share of clean latents in what the model sees.
      sigma: Share of noise in what the model sees.
      following: The next latents.
      noise: Weight of fresh noise in them.
      aside: The next latents to lay aside; None where no step uses them.
      estimate: What the model's output is turned into: "clean" latents, the "noise" in its input,
        or the "output" itself.
      clip: Bound on clean latents on either side of 0; None leaves them.
      unclipped: Weight of this step's clean latents before they were clipped.
      initial_scale: The factor of standard normal noise at the start.
    """

    timestep: Column
    input_scale: Column
    alpha: Column
    sigma: Column
    following: Row
    noise: Column
    aside: Row | None = None
    estimate: str = "clean"
    clip: float | None = None
    unclipped: Column | None = None
    initial_scale: float = 1.0


def noise_levels(
    schedule: NoiseSchedule, steps: int, options: Options
) -> tuple[Column, Float[np.ndarray, "levels"]]:
    """Return the times of samplers whose latents carry noise of deviation sigma, and the sigmas.

    The last sigma is what is left in the end.
    """
    times = timesteps(schedule, steps, options["timestep_spacing"], rounded=False)
    table = all_sigmas(schedule)
    sigmas = np.interp(times, np.arange(len(table)), table)
    if options.get("interpolation_type") == "log_linear":
        sigmas = np.exp(np.linspace(np.log(table[-1]), np.log(table[0]), steps + 1))
    wanted = rescheduled(options, steps, table, sigmas)
    if wanted is not None:
        sigmas, times = wanted, sigma_to_time(table, wanted)
    last = table[0] if options.get("final_sigmas_type") == "sigma_min" else 0.0
    sigmas = np.append(sigmas, last)[: steps + 1]
    if options.get("timestep_type") == "continuous" and schedule.prediction_type == "v_prediction":
        times = 0.25 * np.log(sigmas[:-1])
    return times, sigmas


def estimates(*by_lag: Column) -> Float[np.ndarray, "steps lags"]:
    """Return a row's weights of estimates: this step's, then those before; at least two."""
    return np.stack([*by_lag, np.zeros(len(by_lag[0]))][: max(2, len(by_lag))], axis=1)


def unit_plan(
    times: np.ndarray,
    alphas_cumprod: Column,
    keep: Column,
    lags: Float[np.ndarray, "steps lags"],
    *,
    noise: Column | None = None,
    **others: Any,
) -> SamplingPlan:
    """Return a plan whose latents keep unit variance, so that the model sees them as they are."""
    zeros = np.zeros(len(times))
    return SamplingPlan(
        timestep=times.astype(np.float64),
        input_scale=zeros + 1,
        alpha=np.sqrt(alphas_cumprod),
        sigma=np.sqrt(1 - alphas_cumprod),
        following=Row(keep, lags, others.pop("aside_weight", None)),
        noise=zeros if noise is None else noise,
        **others,
    )


def scaled_plan(
    options: Options,
    times: Column,
    sigmas: Column,
    keep: Column,
    lags: Float[np.ndarray, "steps lags"],
    *,
    aside: Column | None = None,
    lay: Row | None = None,
    noise: Column | None = None,
    **others: Any,
) -> SamplingPlan:
    """Return a plan whose latents carry noise of deviation `sigmas`, scaled down for the model."""
    unit = 1 / np.sqrt(sigmas**2 + 1)
    peak = sigmas.max()
    leading = options["timestep_spacing"] == "leading"
    return SamplingPlan(
        timestep=times,
        input_scale=unit,
        alpha=unit,
        sigma=sigmas * unit,
        following=Row(keep, lags, aside),
        aside=lay,
        noise=np.zeros(len(times)) if noise is None else noise,
        initial_scale=float(np.sqrt(peak**2 + 1) if leading else peak),
        **others,
    )
