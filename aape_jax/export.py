"""Writes the heads that a run has learned so far, without finishing it.

    python -m aape_jax.export --workdir=DIR [--out=DIR2]

A finished run has written them itself, to `DIR/heads`. Of a run that is not finished, those of its
newest checkpoint are written to `DIR2/heads`, by default to DIR, where `aape_jax.evaluate` looks
for them; the same training command still goes on with the run.

AAPE has no features of classes to export: its classifier is another one for every photo. Ask it by
`aape_jax.classify`, or in Python by `aape_jax.load`.

For example:

    python -m aape_jax.export --workdir=runs/aape
"""

from collections.abc import Sequence

from absl import flags

from common.errors import UserError, run_command
from common.hub import local_run
from common.paths import AnyPath, as_output_folder
from common.progress import say


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "Folder for `heads/`; the run's own by default.")


def export(workdir: AnyPath, out: AnyPath) -> list[AnyPath]:
    """Write the heads below `out` and return their files.

    Raises:
      UserError: There is no run of AAPE or no checkpoint of it, its heads do not fit the config, or
        nothing is to be done.
    """
    # Imported once the flags are in order, so that help and mistakes show at once.
    from aape_jax.core.heads_file import heads_in, read_heads, write_heads
    from aape_jax.tasks import TASKS
    from common.training.method import read_run_config
    from common.training.unfinished import read_unfinished

    task, config = read_run_config(workdir, TASKS)
    finished = (workdir / "result.json").exists()
    if finished and out == workdir:
        raise UserError(
            f"{workdir} is finished and has its heads in {workdir / 'heads'}: name another folder "
            "with --out to have copies."
        )
    if finished:
        files = sorted((workdir / "heads").glob("*.safetensors"))
        learned = read_heads(workdir, [file.stem for file in files])
        notes = task.saved_notes(workdir)
    else:
        unfinished = read_unfinished(workdir)
        learned, notes = unfinished.trainable, unfinished.notes
    task.check_heads(config, heads_in(learned))
    task.write_notes(notes, out)
    return write_heads(out, learned)


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    workdir = local_run(options.workdir)
    out = as_output_folder(options.out, "--out") if options.out else workdir
    for file in export(workdir, out):
        say(f"wrote {file}")


if __name__ == "__main__":
    run_command(main, define_flags)
