"""Sampling: one scan over the calls of the model that a plan lays out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.choices import check_choice
from common.diffusion.basic import ddim, ddpm, euler, euler_ancestral, heun, lms
from common.diffusion.multistep import deis, dpm_solver
from common.diffusion.names import SAMPLER_NAMES, SIGMAS
from common.diffusion.plans import Row, SamplingPlan
from common.diffusion.pndm import pndm
from common.diffusion.schedule import NoiseSchedule
from common.diffusion.scheduler_file import read_options
from common.diffusion.unipc import unipc
from common.errors import UserError

Denoise = Callable[[Float[Array, "b h w c"], Float[Array, "b"]], Float[Array, "b h w c"]]
"""`denoise(latents, timesteps)` is the model's output: noise or velocity, float32."""
StepNoise = Callable[[Int[Array, ""]], Float[Array, "b h w c"]]
"""`step_noise(i)` is the standard normal noise that call `i` adds."""

PLANS: Mapping[str, Callable[[NoiseSchedule, int, Mapping[str, Any]], SamplingPlan]] = {
    "DDPMScheduler": ddpm,
    "DDIMScheduler": ddim,
    "PNDMScheduler": pndm,
    "EulerDiscreteScheduler": euler,
    "EulerAncestralDiscreteScheduler": euler_ancestral,
    "HeunDiscreteScheduler": heun,
    "LMSDiscreteScheduler": lms,
    "DPMSolverMultistepScheduler": dpm_solver,
    "DEISMultistepScheduler": deis,
    "UniPCMultistepScheduler": unipc,
}
"""By diffusers' class; `common.diffusion.scheduler_file.KNOWN` has their options."""


@dataclass(frozen=True)
class Sampler:
    """A class of diffusers' and some of its options; the others are the scheduler file's.

    Attributes:
      scheduler: A key of `PLANS`; None is the file's own class.
      fixed: Options that the sampler's name implies.
      silent: Options where the file is silent, if not diffusers' own.
    """

    scheduler: str | None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    silent: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, schedule: NoiseSchedule, steps: int) -> SamplingPlan:
        """Return the table of coefficients.

        Raises:
          UserError: The steps do not fit, or the scheduler file asks for what is not supported.
        """
        scheduler, options = read_options(schedule, self.scheduler, self.fixed, self.silent)
        if steps < 1:
            raise UserError(f"steps={steps} must lie between 1 and {schedule.num_train_timesteps}.")
        try:
            with np.errstate(all="ignore"):  # What is not finite is refused below.
                plan = PLANS[scheduler](schedule, steps, options)
            defined = all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(_columns(plan)))
        except np.linalg.LinAlgError:  # Two steps at one time.
            defined = False
        # Where the model sees noise alone, noise does not determine the clean latents.
        if not defined or (schedule.prediction_type == "epsilon" and not plan.alpha.all()):
            raise UserError(
                f"steps={steps} cannot be laid out by {scheduler} with timestep_spacing="
                f"{options['timestep_spacing']!r}: take fewer steps or another sampler."
            )
        return plan


def _with_sigmas(name: str, scheduler: str, fixed: Mapping[str, Any]) -> dict[str, Sampler]:
    """Return the sampler and those of the same name with other sigmas, whatever the file says."""
    return {name: Sampler(scheduler, fixed)} | {
        f"{name}_{kind}": Sampler(
            scheduler, {**fixed, **{f"use_{other}_sigmas": other == kind for other in SIGMAS}}
        )
        for kind in SIGMAS
    }


_UNCLIPPED = {"clip_sample": False}
_SECOND_ORDER = {"solver_order": 2, "solver_type": "midpoint"}
_NAMED = {
    "ddpm": Sampler("DDPMScheduler", silent=_UNCLIPPED),
    "ddim": Sampler("DDIMScheduler", silent=_UNCLIPPED),
    **_with_sigmas("euler", "EulerDiscreteScheduler", {}),
    **_with_sigmas(
        "dpmpp_2m",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", **_SECOND_ORDER},
    ),
    **_with_sigmas(
        "dpmpp_2m_sde",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", **_SECOND_ORDER},
    ),
    "euler_ancestral": Sampler("EulerAncestralDiscreteScheduler"),
    "heun": Sampler("HeunDiscreteScheduler"),
    "lms": Sampler("LMSDiscreteScheduler"),
    "pndm": Sampler("PNDMScheduler", silent={"skip_prk_steps": True}),
    "deis": Sampler("DEISMultistepScheduler", {"algorithm_type": "deis", "solver_type": "logrho"}),
    "unipc": Sampler("UniPCMultistepScheduler", {"solver_type": "bh2"}),
}
SAMPLERS: Mapping[str, Sampler] = {
    name: (_NAMED | {"checkpoint": Sampler(None)})[name] for name in SAMPLER_NAMES
}
"""By name; "checkpoint" samples as the model's own scheduler file says."""


DEFAULT = "dpmpp_2m"


def own_sampler(schedule: NoiseSchedule) -> str:
    """Return "checkpoint" where the model's scheduler file can be followed, `DEFAULT` otherwise."""
    try:
        read_options(schedule, None, {}, {})
    except UserError:
        return DEFAULT
    return "checkpoint"


def named_sampler(schedule: NoiseSchedule, sampler: str) -> str:
    """Return the name that says what "checkpoint" is here, if one does; other names as they are.

    Web UIs know the names alone. Where "euler" and "euler_karras" are the same, as the file asks
    for Karras' sigmas, it is the longer.

    Raises:
      UserError: The model's scheduler file cannot be followed.
    """
    if sampler != "checkpoint":
        return sampler

    def options(asked: Sampler) -> tuple[str, dict[str, Any]]:
        return read_options(schedule, asked.scheduler, asked.fixed, asked.silent)

    own = options(SAMPLERS[sampler])
    alike = (name for name, asked in _NAMED.items() if asked.scheduler == own[0])
    return max((name for name in alike if options(_NAMED[name]) == own), key=len, default=sampler)


def check_sampling(schedule: NoiseSchedule, sampler: str, steps: int) -> None:
    """Refuse what `sample` would refuse, on the host alone and at once.

    Raises:
      UserError: There is no such sampler, the number of steps does not fit, or a field of the
        checkpoint's scheduler file asks for what the sampler cannot do.
    """
    make_plan(schedule, sampler, steps)


def make_plan(schedule: NoiseSchedule, sampler: str, steps: int) -> SamplingPlan:
    """Return the sampler's table of coefficients.

    Raises:
      UserError: See `check_sampling`.
    """
    check_choice("sampler", sampler, SAMPLERS)
    return SAMPLERS[sampler](schedule, steps)


def sample(
    sampler: str,
    schedule: NoiseSchedule,
    denoise: Denoise,
    noise: Float[Array, "b h w c"],
    *,
    steps: int,
    step_noise: StepNoise | None = None,
) -> Float[Array, "b h w c"]:
    """Turn standard normal noise into latents by calls of `denoise`, in one scan.

    Args:
      sampler: A key of `SAMPLERS`.
      schedule: Whose `prediction_type` says what `denoise` returns.
      denoise: Called with latents of unit variance and their timesteps.
      noise: Standard normal; its shape is the result's.
      steps: As diffusers counts them: `denoise` is called as often, once more by "pndm" and
        nearly twice as often by "heun".
      step_noise: For samplers that add noise on the way, such as "ddpm", the noise of each call.

    Raises:
      UserError: There is no such sampler, it lacks `step_noise`, or the number of steps does
        not fit the schedule.
    """
    plan = make_plan(schedule, sampler, steps)
    stochastic = bool(np.any(plan.noise))
    if stochastic and step_noise is None:
        raise UserError(f"sampler {sampler!r} adds noise at each step and needs a random key.")

    def step(
        carry: tuple[Array, Array | None, tuple[Array, ...]], at: dict[str, Any]
    ) -> tuple[tuple[Array, Array | None, tuple[Array, ...]], None]:
        latents, aside, before = carry
        seen = latents * at["input_scale"]
        output = denoise(seen, jnp.broadcast_to(at["timestep"], len(seen)))
        estimate = _estimate(plan.estimate, schedule.prediction_type, seen, output, at)
        unclipped = estimate
        if plan.clip is not None:
            estimate = jnp.clip(estimate, -plan.clip, plan.clip)
        known = (estimate, *before)
        following = _combined(at["following"], latents, aside, known)
        if plan.unclipped is not None:
            following += at["unclipped"] * unclipped
        if stochastic:
            following += at["noise"] * step_noise(at["index"])
        if plan.aside is not None:
            aside = _combined(at["aside"], latents, aside, known)
        return (following, aside, known[:-1]), None

    columns = jax.tree.map(lambda column: jnp.asarray(column, jnp.float32), _columns(plan))
    columns["index"] = jnp.arange(len(plan.timestep))
    start = noise * plan.initial_scale
    empty = jnp.zeros_like(start)
    before = (empty,) * (plan.following.estimates.shape[1] - 1)
    carry = start, None if plan.aside is None else empty, before
    (latents, _, _), _ = jax.lax.scan(step, carry, columns)
    return latents


def _estimate(
    kind: str, prediction_type: str, seen: Array, output: Array, at: Mapping[str, Any]
) -> Array:
    """Return what the model's output implies."""
    alpha, sigma = at["alpha"], at["sigma"]
    if kind == "output":
        return output
    if prediction_type == "epsilon":
        return output if kind == "noise" else (seen - sigma * output) / alpha
    if kind == "noise":
        return alpha * output + sigma * seen
    return alpha * seen - sigma * output


def _combined(
    row: Mapping[str, Any], latents: Array, aside: Array | None, estimates: tuple[Array, ...]
) -> Array:
    total = row["latents"] * latents
    for weight, estimate in zip(row["estimates"], estimates, strict=True):
        total = total + weight * estimate
    return total if row["aside"] is None else total + row["aside"] * aside


def _columns(plan: SamplingPlan) -> dict[str, Any]:
    """Return the plan's columns; of estimates one for each lag."""

    def by_name(row: Row | None) -> dict[str, Any] | None:
        lags = None if row is None else tuple(row.estimates.T)
        return row and {"latents": row.latents, "estimates": lags, "aside": row.aside}

    names = ("timestep", "input_scale", "alpha", "sigma", "noise", "unclipped")
    columns: dict[str, Any] = {name: getattr(plan, name) for name in names}
    return columns | {"following": by_name(plan.following), "aside": by_name(plan.aside)}
