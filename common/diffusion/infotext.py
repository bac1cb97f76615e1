"""What a picture was drawn from, in the form that AUTOMATIC1111's and other web UIs read."""

import json
from collections.abc import Mapping
from typing import Any

from common.diffusion.names import SIGMAS

_SAMPLERS = {
    "ddpm": "DDPM",
    "ddim": "DDIM",
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "heun": "Heun",
    "lms": "LMS",
    "pndm": "PLMS",
    "deis": "DEIS",
    "unipc": "UniPC",
}


def infotext(prompt: str, negative: str, facts: Mapping[str, Any]) -> str:
    """Return the text of a PNG's `parameters`."""
    said = ", ".join(f"{name}: {_quoted(str(fact))}" for name, fact in facts.items())
    return "\n".join([prompt, *([f"Negative prompt: {negative}"] if negative else []), said])


def sampler_facts(sampler: str) -> dict[str, str]:
    """Return a sampler as web UIs call it; its noise schedule has a name of its own."""
    name, _, schedule = sampler.rpartition("_")
    if schedule not in SIGMAS:
        return {"Sampler": _SAMPLERS.get(sampler, sampler)}
    return {"Sampler": _SAMPLERS.get(name, name), "Schedule type": schedule.capitalize()}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if set(",:\n") & set(text) else text
