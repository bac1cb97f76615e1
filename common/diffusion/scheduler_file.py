"""The fields of diffusers' scheduler classes, and which of their values can be sampled with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.diffusion.names import SIGMAS
from common.diffusion.schedule import NoiseSchedule
from common.errors import UserError


@dataclass(frozen=True)
class ChoiceField:
    """A field with a few supported values; the first is what diffusers assumes."""

    values: tuple[Any, ...]

    @property
    def default(self) -> Any:
        """The value where a file is silent."""
        return self.values[0]

    def accepts(self, value: Any) -> bool:
        """Return whether the value is one of those supported."""
        alike = type(value) is type(self.default) or self.default is None or _is_number(value)
        return alike and value in self.values

    def __str__(self) -> str:
        """Name the values."""
        return ", ".join(map(repr, self.values))


@dataclass(frozen=True)
class NumberField:
    """A field that holds a number, or nothing where that is the default."""

    default: float | None
    low: float
    high: float

    def accepts(self, value: Any) -> bool:
        """Return whether the value is such a number."""
        return value is self.default or (_is_number(value) and self.low <= value <= self.high)

    def __str__(self) -> str:
        """Name the bounds."""
        return f"a number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Steps:
    """A field that holds a list of step numbers."""

    default: tuple[int, ...] = ()

    def accepts(self, value: Any) -> bool:
        """Return whether the value is such a list."""
        return isinstance(value, list | tuple) and all(type(step) is int for step in value)

    def __str__(self) -> str:
        """Name the kind."""
        return "a list of whole numbers"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


Field = ChoiceField | NumberField | Steps

_OFF, _ON = ChoiceField((False, True)), ChoiceField((True, False))
_NEVER = ChoiceField((False,))
_NOTHING = ChoiceField((None,))
_LEADING = ChoiceField(("leading", "linspace", "trailing"))
_LINSPACE = ChoiceField(("linspace", "leading", "trailing"))
_FINAL = ChoiceField(("zero", "sigma_min"))
_ORDER = ChoiceField((2, 1, 3))
_BOUND = NumberField(None, 1e-6, 1e6)
_THRESHOLD = {"thresholding": _NEVER}
_CLIP = {"clip_sample": _ON, "clip_sample_range": NumberField(1.0, 1e-6, 1e6)}
_SIGMAS = {f"use_{kind}_sigmas": _OFF for kind in SIGMAS}
_FLOW = {"use_flow_sigmas": _NEVER, "use_dynamic_shifting": _NEVER}
_ZERO_SNR = {"rescale_betas_zero_snr": _OFF}

KNOWN: Mapping[str, Mapping[str, Field]] = {
    "DDPMScheduler": {
        "timestep_spacing": _LEADING,
        "variance_type": ChoiceField(("fixed_small", "fixed_small_log", "fixed_large")),
        **_CLIP,
        **_THRESHOLD,
        **_ZERO_SNR,
    },
    "DDIMScheduler": {
        "timestep_spacing": _LEADING,
        "set_alpha_to_one": _ON,
        **_CLIP,
        **_THRESHOLD,
        **_ZERO_SNR,
    },
    "PNDMScheduler": {
        "timestep_spacing": _LEADING,
        "set_alpha_to_one": _OFF,
        "skip_prk_steps": _OFF,
    },
    "EulerDiscreteScheduler": {
        "timestep_spacing": _LINSPACE,
        "timestep_type": ChoiceField(("discrete", "continuous")),
        "interpolation_type": ChoiceField(("linear", "log_linear")),
        "final_sigmas_type": _FINAL,
        "sigma_min": _BOUND,
        "sigma_max": _BOUND,
        **_SIGMAS,
        **_ZERO_SNR,
    },
    "EulerAncestralDiscreteScheduler": {"timestep_spacing": _LINSPACE, **_ZERO_SNR},
    "HeunDiscreteScheduler": {
        "timestep_spacing": _LINSPACE,
        "clip_sample": _OFF,
        "clip_sample_range": _CLIP["clip_sample_range"],
        **_SIGMAS,
    },
    "LMSDiscreteScheduler": {"timestep_spacing": _LINSPACE, **_SIGMAS},
    "DPMSolverMultistepScheduler": {
        "timestep_spacing": _LINSPACE,
        "solver_order": _ORDER,
        "algorithm_type": ChoiceField(
            ("dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver")
        ),
        "solver_type": ChoiceField(("midpoint", "heun")),
        "lower_order_final": _ON,
        "euler_at_final": _OFF,
        "final_sigmas_type": _FINAL,
        "lambda_min_clipped": NumberField(None, -1e6, 1e6),
        "variance_type": _NOTHING,
        "use_lu_lambdas": _OFF,
        **_SIGMAS,
        **_FLOW,
        **_THRESHOLD,
        **_ZERO_SNR,
    },
    "DEISMultistepScheduler": {
        "timestep_spacing": _LINSPACE,
        "solver_order": _ORDER,
        # Files of other classes have other values; diffusers accepts them, too.
        "algorithm_type": ChoiceField(("deis", "dpmsolver++", "dpmsolver")),
        "solver_type": ChoiceField(("logrho", "midpoint", "heun", "bh1", "bh2")),
        "lower_order_final": _ON,
        **_SIGMAS,
        **_FLOW,
        **_THRESHOLD,
    },
    "UniPCMultistepScheduler": {
        "timestep_spacing": _LINSPACE,
        "solver_order": _ORDER,
        "solver_type": ChoiceField(("bh2", "bh1", "midpoint", "heun", "logrho")),
        "predict_x0": ChoiceField((True,)),
        "lower_order_final": _ON,
        "final_sigmas_type": _FINAL,
        "disable_corrector": Steps(),
        "solver_p": _NOTHING,
        "sigma_min": _BOUND,
        "sigma_max": _BOUND,
        "shift_terminal": _NOTHING,
        **_SIGMAS,
        **_FLOW,
        **_THRESHOLD,
        **_ZERO_SNR,
    },
}
"""The fields of each scheduler class that can be sampled with, beside those of every class."""

# Every class has these, and `NoiseSchedule` reads them.
_SHARED = frozenset(NoiseSchedule.__dataclass_fields__) | {"predict_epsilon"}
# Without meaning unless another field asks for what is refused, or meant for another program.
_INERT = frozenset({"dynamic_thresholding_ratio", "sample_max_value"})
_INERT |= {"flow_shift", "time_shift_type", "original_inference_steps", "timestep_scaling"}
_INERT |= {"tensor_format", "timestep_values"}
# A class without these fields would draw other pictures than the file describes.
_TELLING = frozenset({"interpolation_type", "final_sigmas_type", "timestep_type"})
_TELLING |= {*_SIGMAS, *_FLOW, *_THRESHOLD, "use_lu_lambdas"}


def read_options(
    schedule: NoiseSchedule,
    scheduler: str | None,
    fixed: Mapping[str, Any],
    silent: Mapping[str, Any],
) -> tuple[str, dict[str, Any]]:
    """Return the scheduler class to sample with and all of its options.

    As diffusers' `from_config`, a class takes from the file the fields that it knows.

    Args:
      schedule: With the file.
      scheduler: The class; None for the file's own.
      fixed: Options that go before the file's.
      silent: Options where the file is silent, in place of diffusers' own.

    Raises:
      UserError: The class, a field or its value is not supported; the message names it.
    """
    file = schedule.file
    from_file = scheduler is None
    scheduler = scheduler or file.get("_class_name")
    if not isinstance(scheduler, str) or scheduler not in KNOWN:
        raise UserError(
            f"scheduler config: _class_name={scheduler!r} is not a scheduler that can be sampled "
            "with: name a sampler, such as dpmpp_2m, in place of 'checkpoint'."
        )
    known = KNOWN[scheduler]
    _refuse_strangers(file, scheduler, from_file)
    if schedule.rescale_betas_zero_snr and "rescale_betas_zero_snr" not in known:
        raise UserError(_refusal(scheduler, "rescale_betas_zero_snr", True, False))
    written = {name: file[name] for name in known if file.get(name) is not None}
    if schedule.timestep_spacing is not None:
        written["timestep_spacing"] = schedule.timestep_spacing
    if "set_alpha_to_one" in known and not file:
        written["set_alpha_to_one"] = schedule.set_alpha_to_one
    options = {name: field.default for name, field in known.items()} | silent | written | fixed
    for name, field in known.items():
        if not field.accepts(options[name]):
            raise UserError(_refusal(scheduler, name, options[name], field))
        if isinstance(field, ChoiceField):  # 2.0 is 2, and 1 is true.
            options[name] = field.values[field.values.index(options[name])]
    chosen = [name for name in _SIGMAS if options.get(name)]
    if len(chosen) > 1:
        raise UserError(f"scheduler config: only one of {', '.join(chosen)} can be true.")
    return scheduler, options


def _refuse_strangers(file: Mapping[str, Any], scheduler: str, from_file: bool) -> None:
    """Refuse fields that no class has, and those of `_TELLING` that the file's class lacks."""
    for name, value in file.items():
        if name in KNOWN[scheduler] or name in _SHARED or name in _INERT or name.startswith("_"):
            continue
        fields = [known[name] for known in KNOWN.values() if name in known]
        # An empty value asks for nothing, whatever its name.
        asks = value not in (None, False, [], {}) and all(value != f.default for f in fields)
        if asks and (not fields or (from_file and name in _TELLING)):
            raise UserError(
                f"scheduler config: {name}={value!r} is not known to {scheduler}: remove the "
                "field, or name another sampler."
            )


def _refusal(scheduler: str, name: str, value: Any, choices: object) -> str:
    return (
        f"scheduler config: {name}={value!r} is not supported by {scheduler}; only {choices} is: "
        "name another sampler."
    )
