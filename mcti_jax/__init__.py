"""MC-TI: one new token per nameless class, learned from a few photos (arXiv 2410.22317).

Letters in shapes: r rows (a class under one setting), k classes, m samples per row and update,
n vectors per class, d text width, p width of CLIP's joint space, s sequence, t templates.
"""

from common.lazy import lazily
from common.version import __version__ as __version__

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "mcti_jax.formats": ("LearnedToken", "read_tokens", "write_token"),
        "mcti_jax.method": ("MCTI",),
        "mcti_jax.trained": ("TrainedTokens", "load", "load_tokens"),
    },
)
