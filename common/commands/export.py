"""The command `export` of a method that has none of its own: it writes what a run has learned.

    python -m common.commands.export --method=module:class --workdir=DIR --out=DIR2

What the method saves at the end of a run is written to another folder. Of a run that is not
finished, its newest checkpoint is written so; the same training command still goes on with it.
Models and data must be at hand.

For example:

    python -m common.commands.export --method=my_methods:Probe --workdir=runs/mine --out=learned
"""

from collections.abc import Sequence

from absl import flags

from common.commands.evaluate import define_method_flag
from common.errors import run_command
from common.hub import local_run
from common.lazy import lazily
from common.paths import as_output_folder

__all__, __getattr__, __dir__ = lazily(__name__, {"common.commands.runs": ("export_run",)})


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "Folder for what was learned.", required=True)
    define_method_flag()


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    from common.commands.runs import export_run, method_class

    del argv
    options = flags.FLAGS
    method, workdir = method_class(options.method), local_run(options.workdir)
    out = as_output_folder(options.out, "--out")
    export_run(method, workdir, out)


if __name__ == "__main__":
    run_command(main, define_flags)
