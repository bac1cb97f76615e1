"""How noise is mixed into latents over time, read from diffusers' scheduler files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.errors import UserError

# The first of each is what diffusers assumes where a file is silent.
_CHOICES: Mapping[str, tuple[Any, ...]] = {
    "beta_schedule": ("linear", "scaled_linear"),
    "prediction_type": ("epsilon", "v_prediction"),
    "timestep_spacing": (None, "leading", "trailing", "linspace"),
    "clip_sample": (False,),
    "thresholding": (False,),
    "trained_betas": (None,),
    "rescale_betas_zero_snr": (False,),
    "use_karras_sigmas": (False,),
}


@dataclass(frozen=True)
class NoiseSchedule:
    """The variance-preserving noise of a diffusion model; hashable, so static under `jit`.

    Attributes:
      prediction_type: what the UNet predicts: "epsilon", the noise, or "v_prediction",
        the velocity of Salimans and Ho (2022).
      timestep_spacing: how samplers spread their steps; None leaves it to each sampler.
      steps_offset: added to the timesteps under the spacing "leading".
      set_alpha_to_one: whether DDIM's last step ends without noise, instead of at timestep 0.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"
    timestep_spacing: str | None = None
    steps_offset: int = 0
    set_alpha_to_one: bool = True

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "NoiseSchedule":
        """Reads diffusers' `scheduler/scheduler_config.json`, of whichever scheduler class.

        Fields that only matter to the sampler named in the file are left out: samplers are
        chosen at sampling time.

        Raises:
          UserError: a field that all samplers depend on has an unsupported value.
        """
        for name, choices in _CHOICES.items():
            if raw.get(name, choices[0]) not in choices:
                raise UserError(
                    f"scheduler config: {name}={raw[name]!r} is not supported; only "
                    f"{', '.join(map(repr, choices))} is."
                )
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__ if name in raw})

    def to_dict(self) -> dict[str, Any]:
        """The fields as diffusers' `scheduler_config.json` holds them, for `DDIMScheduler`."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields = {name: value for name, value in fields.items() if value is not None}
        return {"_class_name": "DDIMScheduler", "clip_sample": False, **fields}

    @cached_property
    def alphas_cumprod(self) -> Float[np.ndarray, "t"]:
        """Share of the signal's variance that is left at each training timestep; float32."""
        ends = np.asarray([self.beta_start, self.beta_end])
        if self.beta_schedule == "scaled_linear":
            ends = np.sqrt(ends)
        betas = np.linspace(*ends, self.num_train_timesteps, dtype=np.float32)
        if self.beta_schedule == "scaled_linear":
            betas = betas**2
        return np.cumprod(1 - betas, dtype=np.float32)

    def add_noise(
        self,
        latents: Float[Array, "b h w c"],
        noise: Float[Array, "b h w c"],
        timesteps: Int[Array, "b"],
    ) -> Float[Array, "b h w c"]:
        """The noisy latents at the given times."""
        alpha, sigma = self._coefficients(timesteps)
        return alpha * latents + sigma * noise

    def target(
        self,
        latents: Float[Array, "b h w c"],
        noise: Float[Array, "b h w c"],
        timesteps: Int[Array, "b"],
    ) -> Float[Array, "b h w c"]:
        """What the UNet is to predict for `add_noise` of the same arguments."""
        if self.prediction_type == "epsilon":
            return noise
        alpha, sigma = self._coefficients(timesteps)
        return alpha * noise - sigma * latents

    def _coefficients(self, timesteps: Array) -> tuple[Array, Array]:
        alphas_cumprod = jnp.asarray(self.alphas_cumprod)[timesteps][:, None, None, None]
        return jnp.sqrt(alphas_cumprod), jnp.sqrt(1 - alphas_cumprod)
