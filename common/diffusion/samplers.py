"""Sampling: one scan over the steps that a plan lays out."""

from collections.abc import Callable
from dataclasses import fields

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.diffusion.plans import SAMPLERS, Plan
from common.diffusion.schedule import NoiseSchedule
from common.errors import UserError

Denoise = Callable[[Float[Array, "b h w c"], Float[Array, "b"]], Float[Array, "b h w c"]]
"""`denoise(latents, timesteps)` is the model's output: noise or velocity, float32."""
StepNoise = Callable[[Int[Array, ""]], Float[Array, "b h w c"]]
"""`step_noise(i)` is the standard normal noise that step `i` adds."""


def check_sampling(schedule: NoiseSchedule, sampler: str, steps: int) -> None:
    """Refuse what `sample` would refuse, on the host alone and at once.

    Raises:
      UserError: There is no such sampler, the number of steps does not fit, or a field of the
        checkpoint's scheduler file asks for what the sampler cannot do.
    """
    make_plan(schedule, sampler, steps)


def make_plan(schedule: NoiseSchedule, sampler: str, steps: int) -> Plan:
    """Return the sampler's table of coefficients.

    Raises:
      UserError: See `check_sampling`.
    """
    if sampler not in SAMPLERS:
        raise UserError(f"sampler {sampler!r} is not one of {', '.join(SAMPLERS)}.")
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
    """Turns standard normal noise into latents by `steps` calls of `denoise`, in one scan.

    Args:
      sampler: A key of `SAMPLERS`.
      schedule: Whose `prediction_type` says what `denoise` returns.
      denoise: Called with latents of unit variance and their timesteps.
      noise: Standard normal; its shape is the result's.
      steps: How often `denoise` is called.
      step_noise: For samplers that add noise on the way ("ddpm"), the noise of each step.

    Raises:
      UserError: There is no such sampler, it lacks `step_noise`, or the number of steps does
        not fit the schedule.
    """
    plan = make_plan(schedule, sampler, steps)
    stochastic = bool(np.any(plan.noise))
    if stochastic and step_noise is None:
        raise UserError(f"sampler {sampler!r} adds noise at each step and needs a random key.")

    def step(carry: tuple[Array, Array], at: dict[str, Array]) -> tuple[tuple[Array, Array], None]:
        latents, clean_before = carry
        seen = latents * at["input_scale"]
        output = denoise(seen, jnp.broadcast_to(at["timestep"], len(seen)))
        if schedule.prediction_type == "epsilon":
            clean = (seen - at["sigma"] * output) / at["alpha"]
        else:
            clean = at["alpha"] * seen - at["sigma"] * output
        following = at["keep"] * latents + at["clean"] * clean + at["clean_before"] * clean_before
        if stochastic:
            following += at["noise"] * step_noise(at["index"])
        return (following, clean), None

    columns = {
        field.name: jnp.asarray(getattr(plan, field.name), jnp.float32)
        for field in fields(plan)
        if field.name != "initial_scale"
    }
    columns["index"] = jnp.arange(steps)
    start = noise * plan.initial_scale
    (latents, _), _ = jax.lax.scan(step, (start, jnp.zeros_like(start)), columns)
    return latents
