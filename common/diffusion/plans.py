"""DDPM, DDIM, Euler and DPM-Solver++(2M) as tables, with the trajectories of diffusers.

Every step of each of them is one linear combination of four things: the current latents, the
clean latents that the model's output implies, those of the step before, and fresh noise. So a
sampler is a table of coefficients, made on the host in float64, and one scan runs them all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from common.diffusion.schedule import NoiseSchedule
from common.errors import UserError

Column = Float[np.ndarray, "steps"]


@dataclass(frozen=True)
class Plan:
    """What each step does; every field but the last holds one number a step.

    Attributes:
      timestep: what the model is told.
      input_scale: what the latents are multiplied with before the model sees them.
      alpha: share of clean latents in what the model sees.
      sigma: share of noise in what the model sees.
      keep: weight of the current latents in the next ones.
      clean: weight of the clean latents that the model's output implies.
      clean_before: weight of the clean latents that the step before implied.
      noise: weight of fresh noise.
      initial_scale: what standard normal noise is multiplied with to start from.
    """

    timestep: Column
    input_scale: Column
    alpha: Column
    sigma: Column
    keep: Column
    clean: Column
    clean_before: Column
    noise: Column
    initial_scale: float = 1.0


def ddpm(schedule: NoiseSchedule, steps: int) -> Plan:
    """Ancestral sampling (Ho et al. 2020, equation 7) with the smaller of both variances."""
    times = _timesteps(schedule, steps, default="leading")
    now = schedule.alphas_cumprod[times].astype(np.float64)
    after = np.append(now[1:], 1.0)
    ratio = now / after
    return _plan(
        times,
        now,
        keep=np.sqrt(ratio) * (1 - after) / (1 - now),
        clean=np.sqrt(after) * (1 - ratio) / (1 - now),
        noise=np.sqrt((1 - after) / (1 - now) * (1 - ratio)),
    )


def ddim(schedule: NoiseSchedule, steps: int) -> Plan:
    """Deterministic DDIM (Song et al. 2021, equation 12 with eta 0)."""
    times = _timesteps(schedule, steps, default="leading")
    table = schedule.alphas_cumprod.astype(np.float64)
    end = 1.0 if schedule.set_alpha_to_one else table[0]
    # The next time is a fixed stride away, which need not be the time that is visited next.
    targets = times - schedule.num_train_timesteps // steps
    now, after = table[times], np.where(targets >= 0, table[targets], end)
    # The noise implied by latents and clean latents, mixed anew with the clean ones.
    keep = np.sqrt((1 - after) / (1 - now))
    return _plan(times, now, keep=keep, clean=np.sqrt(after) - keep * np.sqrt(now))


def euler(schedule: NoiseSchedule, steps: int) -> Plan:
    """Euler's method on the probability flow (Karras et al. 2022, algorithm 2, no churn).

    Its latents are not rescaled to unit variance: noise of deviation sigma is added to them.
    """
    spacing = schedule.timestep_spacing or "linspace"
    times = _timesteps(schedule, steps, default="linspace", rounded=False)
    all_sigmas = _noise_to_signal(schedule.alphas_cumprod)
    now = np.interp(times, np.arange(len(all_sigmas)), all_sigmas)
    after = np.append(now[1:], 0.0)
    unit = 1 / np.sqrt(now**2 + 1)
    peak = now.max()
    return Plan(
        timestep=times,
        input_scale=unit,
        alpha=unit,
        sigma=now * unit,
        keep=after / now,
        clean=1 - after / now,
        clean_before=np.zeros(steps),
        noise=np.zeros(steps),
        initial_scale=float(np.sqrt(peak**2 + 1) if spacing == "leading" else peak),
    )


def dpmpp_2m(schedule: NoiseSchedule, steps: int) -> Plan:
    """DPM-Solver++(2M), midpoint (Lu et al. 2022, algorithm 2); first and last of order 1."""
    times = _timesteps(schedule, steps, default="linspace", extra=1)
    now = _noise_to_signal(schedule.alphas_cumprod[times])
    after = np.append(now[1:], 0.0)
    alpha_now, alpha_after = 1 / np.sqrt(now**2 + 1), 1 / np.sqrt(after**2 + 1)
    change = alpha_after * (1 - after / now)
    # Weight of the difference to the step before: half the ratio of the steps in -log(sigma).
    extrapolation = np.zeros(steps)
    log_now = -np.log(now)
    step = np.diff(log_now)
    extrapolation[1:-1] = 0.5 * step[1:] / step[:-1]
    return _plan(
        times,
        alpha_now**2,
        keep=(alpha_after * after) / (alpha_now * now),
        clean=change * (1 + extrapolation),
        clean_before=-change * extrapolation,
    )


SAMPLERS: dict[str, Callable[[NoiseSchedule, int], Plan]] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "euler": euler,
    "dpmpp_2m": dpmpp_2m,
}


def _plan(
    times: np.ndarray,
    alphas_cumprod: Column,
    *,
    keep: Column,
    clean: Column,
    clean_before: Column | None = None,
    noise: Column | None = None,
) -> Plan:
    """A plan whose latents keep unit variance, so that the model sees them as they are."""
    zeros = np.zeros(len(times))
    return Plan(
        timestep=times.astype(np.float64),
        input_scale=zeros + 1,
        alpha=np.sqrt(alphas_cumprod),
        sigma=np.sqrt(1 - alphas_cumprod),
        keep=keep,
        clean=clean,
        clean_before=zeros if clean_before is None else clean_before,
        noise=zeros if noise is None else noise,
    )


def _noise_to_signal(alphas_cumprod: np.ndarray) -> Column:
    alphas_cumprod = alphas_cumprod.astype(np.float64)
    return np.sqrt((1 - alphas_cumprod) / alphas_cumprod)


def _timesteps(
    schedule: NoiseSchedule,
    steps: int,
    *,
    default: str,
    rounded: bool = True,
    extra: int = 0,
) -> np.ndarray:
    """The times to visit, latest first, spread as in table 2 of arXiv:2305.08891.

    Args:
      schedule: Says how, unless it leaves it to the sampler.
      steps: How many.
      default: The sampler's own spacing.
      rounded: Whether times between training timesteps are rounded to one.
      extra: How many earlier times to lay out and then leave out.
    """
    total, spacing = schedule.num_train_timesteps, schedule.timestep_spacing or default
    if not 1 <= steps <= total:
        raise UserError(f"steps={steps} must lie between 1 and {total}.")
    if spacing == "linspace":
        times = np.linspace(0, total - 1, steps + extra)[::-1][:steps]
    elif spacing == "leading":
        times = (np.arange(steps + extra) * (total // (steps + extra)))[::-1][:steps]
        times = times + schedule.steps_offset
    else:
        times = np.round(np.arange(total, 0, -total / steps))[:steps] - 1
    if times[0] >= total:
        raise UserError(
            f"steps={steps} with steps_offset={schedule.steps_offset} would start at timestep "
            f"{times[0]}, beyond the last one, {total - 1}; take fewer steps."
        )
    return np.round(times).astype(np.int64) if rounded else times.astype(np.float64)
