"""The command `evaluate`, the same for every method: it measures what a finished run saved.

    python -m common.commands.evaluate --method=module:class --workdir=DIR [--data=DATASET]
        [--cache=FOLDER]

The packages of the methods offer it under their own names, e.g. `mcti_jax.evaluate`, each for its
own methods: what a run's folder says is never imported.

For example:

    python -m common.commands.evaluate --method=my_methods:Probe --workdir=runs/mine
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from common.errors import run_command
from common.evaluation.tables import print_table
from common.hub import local_run
from common.precision import use_precision
from common.progress import say
from common.training.method import Method, method_class, read_run_config
from common.training.outputs import write_outputs
from common.training.results import evaluation_record, write_evaluation
from common.training.workdir import evaluation_file


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a finished training run.", required=True)
    flags.DEFINE_string("data", None, "Data set to measure on; the run's own by default.")
    flags.DEFINE_string("cache", "", "Folder of encoded photos and texts.")


def define_method_flag() -> None:
    """Define `--method`."""
    flags.DEFINE_string("method", None, "The run's method, as module:class.", required=True)


def evaluate_run(methods: Sequence[type[Method]], part: str = "", **options: Any) -> None:
    """Evaluate and write `DIR/eval/NAME.json`, with pictures beside it.

    Args:
      methods: Whose runs the command measures.
      part: Of the run, where it has several, e.g. "run1": `NAME~run1.json`.
      options: Further arguments of `Method.measure`.

    Raises:
      UserError: The folder holds no finished run of these methods, or it cannot be measured so.
    """
    workdir, data = local_run(flags.FLAGS.workdir), flags.FLAGS.data
    method, config = read_run_config(workdir, methods, flags.FLAGS.cache)
    dataset = data or config.data
    out = evaluation_file(workdir, dataset, part)
    if "dtype" in config:  # A method of one's own may do without.
        use_precision(config.dtype)
    evaluation = method.measure(config, workdir, data, **options)
    result = evaluation_record(method.name, config, evaluation, dataset)
    print_table(result)
    for table in method.tables(config, result):
        say(table)
    write_evaluation(out, result)
    write_outputs(evaluation, out.parent, f"{out.stem}-")
    say(f"wrote {out}")


def main(argv: Sequence[str]) -> None:
    """Evaluate a run of the method that `--method` names."""
    del argv
    evaluate_run((method_class(flags.FLAGS.method),))


def define_all_flags() -> None:
    """Define the options of the command by itself, which has to be told the method."""
    define_flags()
    define_method_flag()


if __name__ == "__main__":
    run_command(main, define_all_flags)
