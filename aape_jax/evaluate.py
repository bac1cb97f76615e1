"""Measures a finished run.

    python -m aape_jax.evaluate --workdir=DIR [--data=DATASET] [--cache=FOLDER]

Without `--data`: on the run's own test photos. With it: on another data set, in another style or
of other things; a classifier then gets all class names, and needs neither sentences nor
training. A captioning run also answers questions, e.g. `--data=pocket:questions`.

For example:

    python -m aape_jax.evaluate --workdir=runs/aape --data=pocket:rare_sketch
"""

from collections.abc import Sequence

from aape_jax.tasks.captioning import Captioning
from aape_jax.tasks.classification import Classification
from aape_jax.tasks.retrieval import Retrieval
from aape_jax.tasks.vqa import VQA
from common.errors import run_command
from common.evaluate import define_flags, evaluate_run


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, with pictures beside it."""
    del argv
    evaluate_run((Classification, Retrieval, VQA, Captioning))


if __name__ == "__main__":
    run_command(main, define_flags)
