"""Pseudo numerical methods (Liu et al. 2022): the sampler of Stable Diffusion 1's own files."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.diffusion.plans import Row, SamplingPlan
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.spacing import timesteps
from common.errors import UserError

# Adams-Bashforth weights of this output and those before, by their number.
_ADAMS = ((1,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
_RUNGE_KUTTA = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


def pndm(schedule: NoiseSchedule, steps: int, options: Mapping[str, Any]) -> SamplingPlan:
    """Return the plan of PLMS, after three Runge-Kutta steps unless they are skipped.

    The model is called once more than there are steps, or nine times more with Runge-Kutta.
    """
    times = timesteps(schedule, steps, options["timestep_spacing"])[::-1]
    stride = schedule.num_train_timesteps // steps
    if options["skip_prk_steps"]:
        visited, starts = _skipping(times, stride)
    elif steps < 4:
        raise UserError(f"steps={steps} is too few for skip_prk_steps=False: take at least 4.")
    else:
        visited, starts = _with_runge_kutta(times, stride)
    calls = len(visited)
    mixes = _mixes(calls, bool(options["skip_prk_steps"]))
    table = schedule.alphas_cumprod.astype(np.float64)
    end = 1.0 if options["set_alpha_to_one"] else table[0]
    at, after = np.array(starts).T
    if max(at.max(), after.max(), visited.max()) >= len(table):
        raise UserError(
            f"steps={steps} with timestep_spacing={options['timestep_spacing']!r} leaves the "
            f"{len(table)} timesteps: take more steps or another sampler."
        )
    now, after = table[at], np.where(after >= 0, table[after], end)
    # Equation 11; the velocity is turned into noise after outputs were mixed.
    weight = (now - after) / (now * np.sqrt(1 - after) + np.sqrt(now * (1 - now) * after))
    from_latents, from_output = np.sqrt(after / now), weight
    if schedule.prediction_type == "v_prediction":
        from_latents = from_latents + weight * np.sqrt(1 - now)
        from_output = weight * np.sqrt(now)
    held, released = _held(calls, bool(options["skip_prk_steps"]))
    seen = table[visited]
    return SamplingPlan(
        timestep=visited.astype(np.float64),
        input_scale=np.ones(calls),
        alpha=np.sqrt(seen),
        sigma=np.sqrt(1 - seen),
        following=Row(
            from_latents * ~released, from_output[:, None] * mixes, from_latents * released
        ),
        noise=np.zeros(calls),
        aside=Row(held.astype(float), np.zeros_like(mixes), 1.0 - held),
        estimate="output",
    )


def _skipping(times: np.ndarray, stride: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return the times of all calls, and from where to where each goes."""
    visited = np.concatenate([times[:-1], times[-2:-1], times[-1:]])[::-1]
    starts = [(int(time), int(time) - stride) for time in visited]
    if len(visited) > 1:  # The second call repeats the first step.
        starts[1] = (int(visited[1]) + stride, int(visited[1]))
    return visited, starts


def _with_runge_kutta(times: np.ndarray, stride: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    half = stride // 2
    pairs = times[-4:].repeat(2) + np.tile([0, half], 4)
    first = pairs[:-1].repeat(2)[1:-1][::-1]
    starts = [
        (int(first[call // 4 * 4]), int(time) - (0 if call % 2 else half))
        for call, time in enumerate(first)
    ]
    last = times[:-3][::-1]
    starts += [(int(time), int(time) - stride) for time in last]
    return np.concatenate([first, last]), starts


def _mixes(calls: int, skip: bool) -> np.ndarray:
    """Return the weights of this and earlier outputs in each call."""
    mixes = np.zeros((calls, 5 if skip else 13))
    kept: list[int] = []
    for call in range(calls):
        if skip and call == 1:
            mixes[call, :2] = 1 / 2
        elif not skip and call < 12:
            kept += [call] if call % 4 == 0 else []
            mixes[call, :4] = _RUNGE_KUTTA if call % 4 == 3 else (1, 0, 0, 0)
        else:
            kept = [*kept[-3:], call]
            lags = [call - before for before in reversed(kept)]
            mixes[call, lags] = _ADAMS[len(kept) - 1]
    return mixes


def _held(calls: int, skip: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return which calls lay their latents aside, and which go on from those."""
    call = np.arange(calls)
    if skip:
        return call == 0, call == 1
    return (call < 12) & (call % 4 == 0), (call < 12) & (call % 4 != 0)
