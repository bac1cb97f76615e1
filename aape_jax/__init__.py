"""AAPE (arXiv 2410.23698): prompts aggregated for each image, generated from the image alone.

The order of reading: `corpus`, `bank`, `aggregators`, `generator`, `projection`, `logits`,
`losses`, `objective`, then the tasks.
"""

from common.lazy import lazily
from common.version import __version__ as __version__

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "aape_jax.head": ("Head",),
        "aape_jax.serving": ("answer", "predict", "serve"),
        "aape_jax.tasks.captioning": ("Captioning",),
        "aape_jax.tasks.classification": ("Classification",),
        "aape_jax.tasks.retrieval": ("Retrieval",),
        "aape_jax.tasks.vqa": ("VQA",),
        "aape_jax.trained": ("TrainedHead", "load"),
    },
)
