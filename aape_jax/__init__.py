"""AAPE (arXiv 2410.23698): prompts aggregated for each image, generated from the image alone.

Each task has a room of its own, `classification`, `retrieval`, `captioning` and `vqa`, whose
`method` is what the training loop sees. They share `core` (h, g and what teaches them), `datasets`
(readers of captions and questions) and `task`, and no task imports another.

The order of reading: of `core`, `aggregators`, `generator`, `projection`, `logits`, `head`,
`losses`, `objective`; of `classification`, `corpus`, `bank`, `inputs`, `material`, `method`; then
the other tasks, each from its `features` to its `method`.
"""

from common.lazy import lazily
from common.version import __version__ as __version__

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "aape_jax.captioning.method": ("Captioning",),
        "aape_jax.classification.method": ("Classification",),
        "aape_jax.classification.serving": ("answer", "predict", "serve"),
        "aape_jax.core.head": ("Head",),
        "aape_jax.retrieval.method": ("Retrieval",),
        "aape_jax.trained": ("TrainedHead", "load"),
        "aape_jax.vqa.method": ("VQA",),
    },
)
