"""The betas that diffusers' scheduler classes mix in noise by, where a file says none."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError
from common.text import quoted

_BETAS = ("beta_start", "beta_end", "beta_schedule")
_USUAL = (0.0001, 0.02, "linear")
# Where a file is silent its class decides; the names in diffusers are `...Scheduler`.
_OF_CLASS: Mapping[str, tuple[float, float, str]] = {
    **dict.fromkeys(("DDIM", "DDIMInverse", "DDIMParallel", "DDPM", "DDPMParallel"), _USUAL),
    **dict.fromkeys(("DPMSolverMultistep", "DPMSolverMultistepInverse"), _USUAL),
    **dict.fromkeys(("DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"), _USUAL),
    **dict.fromkeys(("EulerAncestralDiscrete", "EulerDiscrete", "LMSDiscrete"), _USUAL),
    **dict.fromkeys(("PNDM", "RePaint", "SASolver"), _USUAL),
    **dict.fromkeys(("DPMSolverSDE", "HeunDiscrete"), (0.00085, 0.012, "linear")),
    **dict.fromkeys(("KDPM2AncestralDiscrete", "KDPM2Discrete"), (0.00085, 0.012, "linear")),
    **dict.fromkeys(("LCM", "TCD"), (0.00085, 0.012, "scaled_linear")),
}
# Beginnings of classes without betas, or with others than their files say; files that were made
# of another class's keep its betas.
_OTHER_NOISE = ("CMStochastic", "CogVideoX", "CosineDPM", "EDM", "FlowMa", "IPNDM", "ScoreSde")


def usual_betas(file: Mapping[str, Any]) -> tuple[float, float, str]:
    """Return `beta_start`, `beta_end` and `beta_schedule` of a scheduler file where it is silent.

    Raises:
      UserError: Its class has no betas, or those of its class are not known and it lacks some.
    """
    name = file.get("_class_name")
    usual = _USUAL if name is None else _OF_CLASS.get(str(name).removesuffix("Scheduler"))
    if usual:
        return usual
    said = file.get("trained_betas") or all(file.get(field) is not None for field in _BETAS)
    if said and not str(name).startswith(_OTHER_NOISE):
        return _USUAL
    raise UserError(
        f"scheduler config: _class_name={quoted(name, 60)} is not a scheduler whose noise is mixed "
        "in by known betas, as that of Stable Diffusion 1.x, 2.x and XL is: give such a model."
    )
