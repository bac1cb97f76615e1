"""Measures the prompts of a finished run.

    python -m protext_jax.evaluate --workdir=DIR [--data=DATASET] [--run=N] [--cache=FOLDER]

Without `--data`: on the run's own test sets. With it: on any other data set, whatever its classes.

For example:

    python -m protext_jax.evaluate --workdir=runs/protext --data=pocket:second
"""

from collections.abc import Sequence

from absl import flags

from common.commands import evaluate
from common.errors import run_command


def define_flags() -> None:
    """Define the command's options."""
    evaluate.define_flags()
    flags.DEFINE_integer("run", None, "Of a sweep: which of its runs.", lower_bound=0)


def main(argv: Sequence[str]) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, of a run of a sweep `NAME~runN.json`."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.commands.runs import evaluate_run
    from protext_jax.method import ProText

    del argv
    number = flags.FLAGS.run
    part = "" if number is None else f"run{number}"
    evaluate_run((ProText,), part, number=number)


if __name__ == "__main__":
    run_command(main, define_flags)
