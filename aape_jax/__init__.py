"""AAPE (arXiv 2410.23698): prompts aggregated for each image, generated from the image alone.

The order of reading: `corpus`, `bank`, `aggregators`, `generator`, `projection`, `logits`,
`losses`, `objective`, then the tasks.
"""

from common.lazy import lazily
from common.version import __version__ as __version__

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "aape_jax.core.head": ("Head",),
        "aape_jax.classification.serving": ("answer", "predict", "serve"),
        "aape_jax.captioning.method": ("Captioning",),
        "aape_jax.classification.method": ("Classification",),
        "aape_jax.retrieval.method": ("Retrieval",),
        "aape_jax.vqa.method": ("VQA",),
        "aape_jax.trained": ("TrainedHead", "load"),
    },
)
