"""Measures a finished run.

    python -m aape_jax.evaluate --workdir=DIR [--data=DATASET] [--cache=FOLDER]

Without `--data`: on the run's own test photos. With it: on another data set, in another style or
of other things; a classifier then gets all class names, with those sentences of them that the
run's `prompts.source` holds, and no training. A captioning run also answers questions, e.g.
`--data=pocket:questions`.

For example:

    python -m aape_jax.evaluate --workdir=runs/aape --data=pocket:rare_sketch
"""

from collections.abc import Sequence

from common.commands.evaluate import define_flags
from common.errors import run_command


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, with pictures beside it."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from aape_jax.tasks import TASKS
    from common.commands.runs import evaluate_run

    del argv
    evaluate_run(TASKS)


if __name__ == "__main__":
    run_command(main, define_flags)
