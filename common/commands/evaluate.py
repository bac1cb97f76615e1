"""The command `evaluate`, the same for every method: it measures what a finished run saved.

    python -m common.commands.evaluate --method=module:class --workdir=DIR [--data=DATASET]
        [--cache=FOLDER]

The packages of the methods offer it under their own names, e.g. `mcti_jax.evaluate`, each for its
own methods: what a run's folder says is never imported.

For example:

    python -m common.commands.evaluate --method=my_methods:Probe --workdir=runs/mine
"""

from collections.abc import Sequence

from absl import flags

from common.errors import run_command
from common.lazy import lazily

__all__, __getattr__, __dir__ = lazily(__name__, {"common.commands.runs": ("evaluate_run",)})


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_string("cache", "", "Folder of encoded photos and texts.")


def define_method_flag() -> None:
    """Define `--method`."""
    flags.DEFINE_string("method", None, "The run's method, as module:class.", required=True)


def main(argv: Sequence[str]) -> None:
    """Evaluate a run of the method that `--method` names."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.commands.runs import evaluate_run, method_class

    del argv
    evaluate_run((method_class(flags.FLAGS.method),))


def define_all_flags() -> None:
    """Define the options of the command by itself, which has to be told the method."""
    define_flags()
    define_method_flag()


if __name__ == "__main__":
    run_command(main, define_all_flags)
