"""Timesteps that samplers visit, and how much noise is left at each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from common.diffusion.schedule import NoiseSchedule
from common.errors import UserError

Column = Float[np.ndarray, "steps"]
Table = Float[np.ndarray, "timesteps"]


def timesteps(
    schedule: NoiseSchedule,
    steps: int,
    spacing: str,
    *,
    rounded: bool = True,
    extra: int = 0,
    last: int | None = None,
) -> np.ndarray:
    """Return the times to visit, latest first, spread as in table 2 of arXiv:2305.08891.

    Args:
      schedule: With all timesteps and the offset of the first.
      steps: How many.
      spacing: How they are spread.
      rounded: Whether times between training timesteps are rounded to one.
      extra: How many earlier times to lay out and then leave out.
      last: How many of the training timesteps to use; by default all.

    Raises:
      UserError: The steps do not fit.
    """
    total = schedule.num_train_timesteps
    if not 1 <= steps <= total:
        raise UserError(f"steps={steps} must lie between 1 and {total}.")
    last = total if last is None else last
    if spacing == "linspace":
        times = np.linspace(0, last - 1, steps + extra)[::-1][:steps]
    elif spacing == "leading":
        times = (np.arange(steps + extra) * (last // (steps + extra)))[::-1][:steps]
        times = times + schedule.steps_offset
    else:
        times = np.round(np.arange(last, 0, -total / steps))[:steps] - 1
    if times[-1] < 0:
        raise UserError(
            f"steps={steps} with steps_offset={schedule.steps_offset} would end at timestep "
            f"{times[-1]}, before the first one: mend the scheduler file."
        )
    if times[0] >= total:
        raise UserError(
            f"steps={steps} with steps_offset={schedule.steps_offset} would start at timestep "
            f"{times[0]}, beyond the last one, {total - 1}; take fewer steps."
        )
    return np.round(times).astype(np.int64) if rounded else times.astype(np.float64)


def noise_to_signal(alphas_cumprod: Table) -> Table:
    """Return the deviation of the noise where the signal's is one."""
    alphas_cumprod = alphas_cumprod.astype(np.float64)
    return np.sqrt((1 - alphas_cumprod) / alphas_cumprod)


def all_sigmas(schedule: NoiseSchedule) -> Table:
    """Return `noise_to_signal` of every training timestep; finite, also where no signal is left."""
    table = schedule.alphas_cumprod
    if schedule.rescale_betas_zero_snr:
        table = table.copy()
        table[-1] = 2**-24  # As diffusers; the smallest positive number of float16.
    return noise_to_signal(table)


def rescheduled(
    options: Mapping[str, Any], steps: int, sigmas: Table, limits: Float[np.ndarray, "_"]
) -> Column | None:
    """Return the sigmas that a file asks for by one of `use_*_sigmas`; None if it does not.

    Args:
      options: The file's.
      steps: How many.
      sigmas: Of every training timestep.
      limits: From the largest to the smallest sigma to use.
    """
    high = float(options.get("sigma_max") or np.float32(limits[0]))
    low = float(options.get("sigma_min") or np.float32(limits[-1]))
    if options.get("use_karras_sigmas"):  # Karras et al. 2022, equation 5.
        ramp = np.linspace(0, 1, steps)
        return (high ** (1 / 7) + ramp * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    if options.get("use_lu_lambdas"):  # Uniform in the log of the signal-to-noise ratio.
        logs = np.log(sigmas)
        return np.exp(np.linspace(logs[-1], logs[0], steps))
    if options.get("use_exponential_sigmas"):
        return np.exp(np.linspace(np.log(high), np.log(low), steps))
    if options.get("use_beta_sigmas"):  # arXiv:2407.12173
        from scipy.special import betaincinv

        return low + betaincinv(0.6, 0.6, 1 - np.linspace(0, 1, steps)) * (high - low)
    return None


def sigma_to_time(sigmas: Table, wanted: Column) -> Column:
    """Return the times with this noise, also between training timesteps."""
    # In float32, as diffusers: it decides whether a time lies just below a whole number.
    logs = np.log(sigmas.astype(np.float32)).astype(np.float64)
    return np.interp(np.log(wanted), logs, np.arange(len(sigmas)))
