"""The tasks of AAPE, whose runs its commands read."""

from aape_jax.captioning.method import Captioning
from aape_jax.classification.method import Classification
from aape_jax.retrieval.method import Retrieval
from aape_jax.vqa.method import VQA

TASKS = (Classification, Retrieval, VQA, Captioning)
