"""Measures the tokens of a finished run.

    python -m mcti_jax.evaluate --workdir=DIR [--data=DATASET] [--cache=FOLDER]

Without `--data`: on the run's own test photos. With it: on the test photos of another data set
with the same classes, for instance in another style; without parts `train` and `test` all of its
photos are, but those that the run learned from. The baselines learn from the run's own photos in
either case, and are left out where these are not at hand. The token files say which class a token
belongs to (`class`, `class_index`); their names and order do not matter.

For example:

    python -m mcti_jax.evaluate --workdir=runs/mine --data=folder:other_photos
"""

from collections.abc import Sequence

from common.commands.evaluate import define_flags
from common.errors import run_command


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, with pictures beside it."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.commands.runs import evaluate_run
    from mcti_jax.method import MCTI

    del argv
    evaluate_run((MCTI,))


if __name__ == "__main__":
    run_command(main, define_flags)
