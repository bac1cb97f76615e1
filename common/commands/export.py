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
from common.commands.train import tell_written
from common.errors import run_command
from common.hub import local_run
from common.paths import AnyPath, as_output_folder
from common.precision import use_precision
from common.training.mesh import make_mesh
from common.training.method import Method, method_class, read_run_config
from common.training.types import Evaluation


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "Folder for what was learned.", required=True)
    define_method_flag()


def export_run(method: type[Method], workdir: AnyPath, out: AnyPath) -> None:
    """Write what a run has learned into the folder `out`.

    Raises:
      UserError: There is no run of this method, or nothing that it has learned.
    """
    _, config = read_run_config(workdir, (method,))
    use_precision(config.get("dtype", "auto"))
    opened = method(config)
    if (workdir / "result.json").exists():
        learned = opened.read(workdir)
    else:
        # Checkpoints take seconds to import, and only runs that are not finished need them.
        from common.training.unfinished import read_unfinished

        learned = read_unfinished(workdir).trainable
    opened.load(make_mesh(config.mesh.data, config.mesh.model))
    opened.save(learned, Evaluation({}), out)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    method, workdir = method_class(options.method), local_run(options.workdir)
    out = as_output_folder(options.out, "--out")
    export_run(method, workdir, out)
    tell_written(method, out)


if __name__ == "__main__":
    run_command(main, define_flags)
