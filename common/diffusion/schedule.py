"""How noise is mixed into latents over time, read from diffusers' scheduler files."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from common.diffusion.betas import usual_betas
from common.files import read_json
from common.paths import AnyPath
from common.records import Record

MOST_TIMESTEPS = 100_000
"""Training timesteps that a file may ask for; published models have 1,000."""

MOST_BYTES = 2**23
"""Of a scheduler file; one with its own betas has a few for each timestep."""

_REMEDY = "copy the model's scheduler_config.json again from where it came from"
_FIRST = (
    *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "prediction_type"),
    *("timestep_spacing", "steps_offset", "set_alpha_to_one"),
)
_LATER = ("trained_betas", "rescale_betas_zero_snr")


@dataclass(frozen=True, repr=False)
class NoiseSchedule:
    """The variance-preserving noise of a diffusion model; hashable, so static under `jit`.

    Training reads betas and `prediction_type` only; the other fields are read and checked when a
    picture is sampled.

    Attributes:
      prediction_type: What the UNet predicts: "epsilon", the noise, or "v_prediction",
        the velocity of Salimans and Ho (2022).
      timestep_spacing: How samplers spread their steps; None leaves it to each sampler.
      steps_offset: Added to the timesteps under the spacing "leading".
      set_alpha_to_one: Whether DDIM's last step ends without noise, instead of at timestep 0.
      trained_betas: The betas themselves, in place of `beta_schedule`.
      rescale_betas_zero_snr: Whether the last timestep is noise alone (arXiv:2305.08891).
      scheduler_file: The whole file as JSON, for samplers; empty if there is none. It takes no
        part in fingerprints, as nothing that is trained depends on it.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 0.0001
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"
    timestep_spacing: str | None = None
    steps_offset: int = 0
    set_alpha_to_one: bool = True
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False
    scheduler_file: str = ""

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "NoiseSchedule":
        """Read diffusers' `scheduler/scheduler_config.json`, of any scheduler class.

        Raises:
          UserError: A field that training depends on is damaged or has an unsupported value, or
            the class mixes in noise by other rules than betas.
        """
        record = Record(raw, "the scheduler config", _REMEDY)
        # In old files, false means that the UNet predicts clean latents.
        if not record.boolean("predict_epsilon", default=True):
            record.refuse("predict_epsilon", "true, the only value that is supported")
        steps = record.integer("num_train_timesteps", 1, MOST_TIMESTEPS, default=1000)
        start, end, schedule = usual_betas(raw)
        return cls(
            steps,
            record.number("beta_start", 0, 1, default=start),
            record.number("beta_end", 0, 1, default=end),
            record.text("beta_schedule", ("linear", "scaled_linear"), default=schedule),
            record.text("prediction_type", ("epsilon", "v_prediction"), default="epsilon"),
            record.text("timestep_spacing", longest=100, default=None),
            record.integer("steps_offset", -MOST_TIMESTEPS, MOST_TIMESTEPS, default=0),
            record.boolean("set_alpha_to_one", default=True),
            record.numbers("trained_betas", steps, 0, 1, default=None),
            record.boolean("rescale_betas_zero_snr", default=False),
            json.dumps({key: value for key, value in raw.items() if value != -math.inf}),
        )

    @classmethod
    def from_file(cls, path: AnyPath) -> "NoiseSchedule":
        """Read a `scheduler_config.json`.

        Raises:
          UserError: As `from_dict`, or the file is damaged.
        """
        # diffusers writes a bound that it does not use as -Infinity.
        return cls.from_dict(read_json(path, _REMEDY, MOST_BYTES, constants=True))

    def __repr__(self) -> str:
        """Name the fields as fingerprints hold them: later ones only where they are in use."""
        names = [*_FIRST, *(name for name in _LATER if getattr(self, name))]
        return f"NoiseSchedule({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    @cached_property
    def file(self) -> dict[str, Any]:
        """The content of the scheduler file; empty if there is none."""
        return json.loads(self.scheduler_file or "{}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as diffusers' `scheduler_config.json` holds them.

        The other fields of a file that was read are kept. Without a file they are written for
        `DDIMScheduler`.
        """
        if self.scheduler_file:
            before: Any = NoiseSchedule.from_dict(self.file)
            content = self.file
        else:
            before, content = None, {"_class_name": "DDIMScheduler", "clip_sample": False}
        fields = {name: getattr(self, name) for name in _FIRST}
        fields |= {name: value for name in _LATER if (value := getattr(self, name))}
        changed = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
            if value is not None and (before is None or value != getattr(before, name))
        }
        return content | changed

    @cached_property
    def alphas_cumprod(self) -> Float[np.ndarray, "t"]:
        """Share of the signal's variance that is left at each training timestep; float32."""
        if self.trained_betas is not None:
            betas = np.asarray(self.trained_betas, np.float32)
        else:
            ends = np.asarray([self.beta_start, self.beta_end])
            if self.beta_schedule == "scaled_linear":
                ends = np.sqrt(ends)
            betas = np.linspace(*ends, self.num_train_timesteps, dtype=np.float32)
            if self.beta_schedule == "scaled_linear":
                betas = betas**2
        signal = np.cumprod(1 - betas, dtype=np.float32)
        if self.rescale_betas_zero_snr:
            root = np.sqrt(signal)
            root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
            return root**2
        return signal

    def add_noise(
        self,
        latents: Float[Array, "b h w c"],
        noise: Float[Array, "b h w c"],
        timesteps: Int[Array, "b"],
    ) -> Float[Array, "b h w c"]:
        """Return the noisy latents at the given times."""
        alpha, sigma = self._coefficients(timesteps)
        return alpha * latents + sigma * noise

    def target(
        self,
        latents: Float[Array, "b h w c"],
        noise: Float[Array, "b h w c"],
        timesteps: Int[Array, "b"],
    ) -> Float[Array, "b h w c"]:
        """Return what the UNet is to predict for `add_noise` of the same arguments."""
        if self.prediction_type == "epsilon":
            return noise
        alpha, sigma = self._coefficients(timesteps)
        return alpha * noise - sigma * latents

    def _coefficients(self, timesteps: Array) -> tuple[Array, Array]:
        alphas_cumprod = jnp.asarray(self.alphas_cumprod)[timesteps][:, None, None, None]
        return jnp.sqrt(alphas_cumprod), jnp.sqrt(1 - alphas_cumprod)
