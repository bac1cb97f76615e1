"""Plans of DDPM, DDIM, Euler, Heun and LMS, with the trajectories of diffusers."""

import numpy as np

from common.diffusion.plans import (
    Options,
    Row,
    SamplingPlan,
    estimates,
    noise_levels,
    scaled_plan,
    unit_plan,
)
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.spacing import timesteps


def ddpm(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of ancestral sampling (Ho et al. 2020, equation 7)."""
    times = timesteps(schedule, steps, options["timestep_spacing"])
    now = schedule.alphas_cumprod[times].astype(np.float64)
    after = np.append(now[1:], 1.0)
    ratio = now / after
    variance = 1 - ratio
    if options["variance_type"] != "fixed_large":
        variance = (1 - after) / (1 - now) * (1 - ratio)
    return unit_plan(
        times,
        now,
        np.sqrt(ratio) * (1 - after) / (1 - now),
        estimates(np.sqrt(after) * (1 - ratio) / (1 - now)),
        noise=np.sqrt(variance) * (times > 0),
        clip=options["clip_sample_range"] if options["clip_sample"] else None,
    )


def ddim(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of deterministic DDIM (Song et al. 2021, equation 12 with eta 0)."""
    times = timesteps(schedule, steps, options["timestep_spacing"])
    table = schedule.alphas_cumprod.astype(np.float64)
    end = 1.0 if options["set_alpha_to_one"] else table[0]
    # The next time is a fixed stride away, which need not be the time that is visited next.
    targets = times - schedule.num_train_timesteps // steps
    now, after = table[times], np.where(targets >= 0, table[targets], end)
    # The noise implied by latents and clean latents, mixed anew with the clean ones.
    keep = np.sqrt((1 - after) / (1 - now))
    if not options["clip_sample"]:
        return unit_plan(times, now, keep, estimates(np.sqrt(after) - keep * np.sqrt(now)))
    return unit_plan(
        times,
        now,
        keep,
        estimates(np.sqrt(after)),
        clip=options["clip_sample_range"],
        unclipped=-keep * np.sqrt(now),
    )


def euler(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of Euler's method (Karras et al. 2022, algorithm 2, no churn).

    It follows the probability flow. Its latents are not rescaled to unit variance: noise of
    deviation sigma is added to them.
    """
    times, sigmas = noise_levels(schedule, steps, options)
    now, after = sigmas[:-1], sigmas[1:]
    return scaled_plan(options, times, now, after / now, estimates(1 - after / now))


def euler_ancestral(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of Euler's method with noise (k-diffusion's `sample_euler_ancestral`)."""
    times, sigmas = noise_levels(schedule, steps, options)
    now, after = sigmas[:-1], sigmas[1:]
    noise = np.sqrt(after**2 * (now**2 - after**2) / now**2)
    down = np.sqrt(after**2 - noise**2)
    return scaled_plan(options, times, now, down / now, estimates(1 - down / now), noise=noise)


def heun(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of Heun's method (Karras et al. 2022, algorithm 1).

    Each step takes two calls of the model, the last step one.
    """
    times, sigmas = noise_levels(schedule, steps, options)
    calls = 2 * steps - 1
    now = np.repeat(sigmas[:-1], 2)[1:]
    keep, aside, lags = np.zeros(calls), np.zeros(calls), np.zeros((calls, 2))
    held = np.zeros(calls)
    for step in range(steps):
        # A whole step of Euler's, in the first of both calls or in the last of all.
        first, sigma, after = 2 * step, sigmas[step], sigmas[step + 1]
        keep[first], lags[first, 0], held[first] = after / sigma, 1 - after / sigma, 1
        if first + 1 < calls:
            half = (after - sigma) / 2
            keep[first + 1], aside[first + 1] = half / after, 1 + half / sigma
            lags[first + 1] = -half / after, -half / sigma
    return scaled_plan(
        options,
        np.repeat(times, 2)[1:],
        now,
        keep,
        lags,
        aside=aside,
        lay=Row(held, np.zeros((calls, 2)), 1 - held),
        clip=options["clip_sample_range"] if options["clip_sample"] else None,
    )


def lms(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of the linear multistep method of order 4 (k-diffusion's `sample_lms`)."""
    times, sigmas = noise_levels(schedule, steps, options)
    nodes, weights = np.polynomial.legendre.leggauss(4)  # Exact for polynomials of order 3.
    lags = np.zeros((steps, 4))
    for step in range(steps):
        seen = sigmas[max(0, step - 3) : step + 1][::-1]
        width = (sigmas[step + 1] - sigmas[step]) / 2
        at = sigmas[step] + width * (nodes + 1)
        for lag, sigma in enumerate(seen):
            others = np.delete(seen, lag)
            basis = np.prod((at[:, None] - others) / (sigma - others), axis=1)
            lags[step, lag] = width * np.dot(weights, basis)
    return scaled_plan(options, times, sigmas[:-1], np.ones(steps), lags, estimate="noise")
