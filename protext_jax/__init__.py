"""ProText: prompts that are learned from text alone (arXiv 2401.02418).

Letters in shapes: r runs trained together, j prompted blocks, t prompt vectors per block, d text
width, p width of CLIP's joint space, k trained classes, b (template, sentence) pairs, u distinct
classes of a batch, m sentences of one class in a batch, n packed tokens, s sequence.
"""

from common.lazy import lazily
from common.version import __version__ as __version__

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "protext_jax.classifier": ("class_features",),
        "protext_jax.files": ("LearnedPrompts", "read_prompts"),
        "protext_jax.method": ("ProText",),
        "protext_jax.trained": ("TrainedPrompts", "load"),
    },
)
