"""DPM-Solver, DPM-Solver++ and DEIS: multistep methods of order 1 to 3."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from common.diffusion.plans import SamplingPlan, unit_plan
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.spacing import Column, all_sigmas, rescheduled, sigma_to_time, timesteps
from common.errors import UserError

Options = Mapping[str, Any]
Sigmas = Float[np.ndarray, "levels"]  # One more than steps.


def dpm_solver(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of DPM-Solver(++) (Lu et al. 2022), with or without noise on the way."""
    algorithm, order = options["algorithm_type"], options["solver_order"]
    plain = algorithm in ("dpmsolver", "sde-dpmsolver")
    if plain and options["final_sigmas_type"] == "zero":
        raise UserError(
            f"scheduler config: algorithm_type={algorithm!r} cannot end with "
            "final_sigmas_type='zero': set 'sigma_min', or name another sampler."
        )
    if algorithm == "sde-dpmsolver" and order == 3:
        raise UserError(
            "scheduler config: solver_order=3 is not defined for algorithm_type="
            f"{algorithm!r}: set 2, or name another sampler."
        )
    times, sigmas = solver_levels(schedule, steps, options)
    steps = len(times)  # Clipping the first times can leave fewer.
    early = options["lower_order_final"] and steps < 15
    at_once = early or options["euler_at_final"] or options["final_sigmas_type"] == "zero"
    orders = solver_orders(steps, order, final=at_once, second=early)
    keep, weights, noise = _SOLVERS[algorithm](sigmas, options["solver_type"], orders)
    return unit_plan(
        times,
        signal(sigmas[:-1]) ** 2,
        keep,
        _by_lag(weights, np.diff(-np.log(sigmas)), orders),
        noise=noise,
        estimate="noise" if plain else "clean",
    )


def deis(schedule: NoiseSchedule, steps: int, options: Options) -> SamplingPlan:
    """Return the plan of DEIS (Zhang and Chen 2023) in the logarithm of sigma."""
    times, sigmas = solver_levels(schedule, steps, options, repeats=True)
    early = options["lower_order_final"] and steps < 15
    orders = solver_orders(steps, options["solver_order"], final=early, second=early)
    alpha = signal(sigmas)
    lags = np.zeros((steps, 3))
    for step, order in enumerate(orders):
        seen = sigmas[step - order + 1 : step + 1][::-1]
        for lag in range(order):
            others = np.log(np.delete(seen, lag))
            ends = [_integral(sigma, others) for sigma in (sigmas[step + 1], sigmas[step])]
            lags[step, lag] = (ends[0] - ends[1]) / np.prod(np.log(seen[lag]) - others)
    keep = alpha[1:] / alpha[:-1]
    return unit_plan(times, alpha[:-1] ** 2, keep, alpha[1:, None] * lags, estimate="noise")


def _integral(sigma: float, roots: np.ndarray) -> float:
    """Return an integral over sigma of the product of log(sigma) less each of the roots."""
    log = np.log(sigma)
    if len(roots) == 0:
        return sigma
    if len(roots) == 1:
        return sigma * (log - roots[0] - 1)
    return sigma * ((log - roots[0]) * (log - roots[1]) - 2 * log + roots.sum() + 2)


def solver_levels(
    schedule: NoiseSchedule, steps: int, options: Options, *, repeats: bool = False
) -> tuple[np.ndarray, Sigmas]:
    """Return whole timesteps and the sigma at each; the last sigma is what is left in the end.

    Args:
      schedule: Of the model.
      steps: How many.
      options: Of the scheduler; one without `final_sigmas_type` never ends without noise.
      repeats: Whether sigmas of `use_*_sigmas` end with the last one twice.
    """
    table = all_sigmas(schedule)
    last = None
    if (clipped := options.get("lambda_min_clipped")) is not None:
        last = int(np.sum(-np.log(table) >= clipped))
        if not last:
            raise UserError(
                f"scheduler config: lambda_min_clipped={clipped!r} leaves no timestep: lower it, "
                "or name another sampler."
            )
    times = timesteps(schedule, steps, options["timestep_spacing"], extra=1, last=last)
    sigmas = rescheduled(options, steps, table, table[::-1])
    if sigmas is None:
        sigmas, final = table[times], table[0]
    else:
        # As in diffusers: some are rounded, others cut off.
        rounds = options.get("use_karras_sigmas") or options.get("use_lu_lambdas")
        times = sigma_to_time(table, sigmas)
        times = (np.round(times) if rounds else np.floor(times)).astype(np.int64)
        final = sigmas[-1] if repeats else table[0]
    return times, np.append(sigmas, 0.0 if options.get("final_sigmas_type") == "zero" else final)


def solver_orders(steps: int, order: int, *, final: bool, second: bool) -> np.ndarray:
    """Return the order of each step: lower at the start, and perhaps in the end.

    Args:
      steps: How many there are.
      order: Of the others.
      final: Whether the last step is of order 1.
      second: Whether the one before it is of order 2 at most.
    """
    orders = np.minimum(order, np.arange(steps) + 1)
    if second:
        orders[-2:-1] = np.minimum(orders[-2:-1], 2)
    if final:
        orders[-1] = 1
    return orders


def signal(sigmas: np.ndarray | float) -> Any:
    """Return the share of clean latents where noise and signal have this ratio."""
    return 1 / np.sqrt(sigmas**2 + 1)


Weights = tuple[Column, Column, Column]
"""Of the estimate and of its first and second differences."""


def _plus_plus(
    sigmas: Sigmas, solver: str, orders: np.ndarray
) -> tuple[Column, Weights, Column | None]:
    now, after = sigmas[:-1], sigmas[1:]
    alpha_now, alpha_after = signal(now), signal(after)
    step = np.log(now) - np.log(after)
    once = alpha_after * (1 - after / now)
    twice = alpha_after * ((after / now - 1) / step + 1)
    thrice = -alpha_after * ((after / now - 1 + step) / step**2 - 0.5)
    keep = (alpha_after * after) / (alpha_now * now)
    return keep, (once, _second(once, twice, solver, orders), thrice), None


def _plain(
    sigmas: Sigmas, solver: str, orders: np.ndarray
) -> tuple[Column, Weights, Column | None]:
    now, after = sigmas[:-1], sigmas[1:]
    share = signal(after) * after
    step = np.log(now) - np.log(after)
    growth = np.expm1(step)
    once = -share * growth
    twice = -share * (growth / step - 1)
    thrice = -share * ((growth - step) / step**2 - 0.5)
    keep = signal(after) / signal(now)
    return keep, (once, _second(once, twice, solver, orders), thrice), None


def _noisy_plus_plus(
    sigmas: Sigmas, solver: str, orders: np.ndarray
) -> tuple[Column, Weights, Column | None]:
    now, after = sigmas[:-1], sigmas[1:]
    alpha_now, alpha_after = signal(now), signal(after)
    step = 2 * (np.log(now) - np.log(after))
    lost = 1 - (after / now) ** 2
    once = alpha_after * lost
    twice = alpha_after * (1 - lost / step)
    thrice = alpha_after * ((lost - step) / step**2 - 0.5)
    keep = (alpha_after * after) / (alpha_now * now) * (after / now)
    noise = alpha_after * after * _root(lost)
    return keep, (once, _second(once, twice, solver, orders), thrice), noise


def _noisy_plain(
    sigmas: Sigmas, solver: str, orders: np.ndarray
) -> tuple[Column, Weights, Column | None]:
    keep, weights, _ = _plain(sigmas, solver, orders)
    now, after = sigmas[:-1], sigmas[1:]
    noise = signal(after) * after * _root(np.expm1(2 * (np.log(now) - np.log(after))))
    once, twice, thrice = (2 * weight for weight in weights)
    return keep, (once, twice, thrice), noise


def _root(variance: Column) -> Column:
    # A last step to the sigma where it stands has no length, up to rounding either way.
    return np.sqrt(np.maximum(variance, 0))


_SOLVERS = {
    "dpmsolver++": _plus_plus,
    "dpmsolver": _plain,
    "sde-dpmsolver++": _noisy_plus_plus,
    "sde-dpmsolver": _noisy_plain,
}


def _second(once: Column, twice: Column, solver: str, orders: np.ndarray) -> Column:
    """Return the weights of first differences; the solver type does not matter at order 3."""
    return np.where((solver == "heun") | (orders == 3), twice, 0.5 * once)


def _by_lag(weights: Weights, step: Column, orders: np.ndarray) -> Float[np.ndarray, "steps lags"]:
    """Return weights of estimates from those of their differences.

    Args:
      weights: Of this step's estimate and of its differences.
      step: Of each step in the logarithm of the signal-to-noise ratio.
      orders: Of each step; of order 1 there are no differences.
    """
    once, twice, thrice = weights
    lags = np.zeros((len(orders), max(2, orders.max())))
    lags[:, 0] = once
    for i in np.flatnonzero(orders > 1):
        # The first difference by lag, over the length of this step.
        first = np.array([1.0, -1.0]) * (step[i] / step[i - 1])
        if orders[i] == 2:
            lags[i, :2] += twice[i] * first
            continue
        r0, r1 = step[i - 1] / step[i], step[i - 2] / step[i]
        near, far = np.array([1, -1, 0]) / r0, np.array([0, 1, -1]) / r1
        bend = (near - far) / (r0 + r1)
        lags[i] += twice[i] * (near + r0 * bend) + thrice[i] * bend
    return lags
