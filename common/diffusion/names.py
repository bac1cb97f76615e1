"""The names of samplers, for whoever offers them before anything of a model is imported."""

_WITH_SIGMAS = ("euler", "dpmpp_2m", "dpmpp_2m_sde")
SIGMAS = ("karras", "exponential", "beta")
"""Other spacings of the noise levels, which samplers of a family name behind their own name."""

_FIRST = ("ddpm", "ddim", "euler", "dpmpp_2m", "checkpoint")
_FURTHER = (
    *("dpmpp_2m_sde", "euler_ancestral", "heun", "lms", "pndm", "deis", "unipc"),
    *(f"{name}_{sigmas}" for name in _WITH_SIGMAS for sigmas in SIGMAS),
)
SAMPLER_NAMES = (*_FIRST, *sorted(_FURTHER))
"""The keys of `common.diffusion.SAMPLERS`, in its order."""
