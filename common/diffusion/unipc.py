"""UniPC (Zhao et al. 2023): a multistep method whose every step corrects the one before."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from common.diffusion.multistep import signal, solver_levels
from common.diffusion.plans import Row, SamplingPlan, unit_plan
from common.diffusion.schedule import NoiseSchedule


def unipc(schedule: NoiseSchedule, steps: int, options: Mapping[str, Any]) -> SamplingPlan:
    """Return the plan; the latents that lie aside are the corrected ones of the step before."""
    times, sigmas = solver_levels(schedule, steps, options, repeats=True)
    order, simple = options["solver_order"], options["solver_type"] == "bh1"
    orders = np.minimum(order, np.arange(steps) + 1)
    if options["lower_order_final"]:
        orders = np.minimum(orders, steps - np.arange(steps))
    following, corrected = (np.zeros((steps, order + 3)) for _ in range(2))
    for step in range(steps):
        # Weights of the latents, of those aside, and of estimates from this step's on.
        now = corrected[step]
        now[0] = 1.0
        if step and step - 1 not in options["disable_corrector"]:
            keep, lags = _update(sigmas, step - 1, int(orders[step - 1]), simple, corrector=True)
            now[:2], now[2 : 2 + len(lags)] = (0.0, keep), lags
        keep, lags = _update(sigmas, step, int(orders[step]), simple, corrector=False)
        following[step] = keep * now
        following[step, 2 : 2 + len(lags)] += lags
    return unit_plan(
        times,
        signal(sigmas[:-1]) ** 2,
        following[:, 0],
        following[:, 2:],
        aside_weight=following[:, 1],
        aside=Row(corrected[:, 0], corrected[:, 2:], corrected[:, 1]),
    )


def _update(
    sigmas: np.ndarray, start: int, order: int, simple: bool, *, corrector: bool
) -> tuple[float, np.ndarray]:
    """Return the weights of the latents and of estimates in one step from `start`.

    The estimates of a corrector begin with the one at the step's end.
    """
    after, now = sigmas[start + 1], sigmas[start]
    alpha = signal(after)
    length = np.log(now) - np.log(after)
    phi = np.expm1(-length)
    scale = -length if simple else phi
    ratios = np.array(
        [(np.log(now) - np.log(sigmas[start - back])) / length for back in range(1, order)] + [1.0]
    )
    values, term = [], phi / -length - 1
    for power in range(1, order + 1):
        values.append(term * math.factorial(power) / scale)
        term = term / -length - 1 / math.factorial(power + 1)
    matrix = np.stack([ratios**power for power in range(order)])
    if corrector:
        rho = np.array([0.5]) if order == 1 else np.linalg.solve(matrix, values)
    elif order > 2:
        rho = np.linalg.solve(matrix[:-1, :-1], values[:-1])
    else:
        rho = np.full(order - 1, 0.5)
    base = int(corrector)  # Where the estimate at the step's start stands.
    lags = np.zeros(order + base)
    lags[base] = -alpha * phi
    for back in range(1, order):
        weight = -alpha * scale * rho[back - 1] / ratios[back - 1]
        lags[base + back] += weight
        lags[base] -= weight
    if corrector:
        lags[0] = -alpha * scale * rho[-1]
        lags[base] -= lags[0]
    return float((alpha * after) / (signal(now) * now)), lags
