"""Writes the heads that a run has learned so far, without finishing it.

    python -m aape_jax.export --workdir=DIR [--out=DIR2]

A finished run has written them itself, to `DIR/heads`. Of a run that is not finished, those of its
newest checkpoint are written to `DIR2/heads`, by default to DIR, where `aape_jax.evaluate` looks
for them; the same training command still goes on with the run.

For example:

    python -m aape_jax.export --workdir=runs/aape
"""

from collections.abc import Sequence

from absl import flags

from aape_jax.evaluate import DEFAULTS
from aape_jax.heads_file import read_head, write_heads
from common.config import read_config
from common.errors import UserError, run_command
from common.paths import AnyPath, as_output_folder, as_path
from common.progress import say
from common.training.unfinished import read_unfinished


def define_flags() -> None:
    """The command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "Folder for `heads/`; the run's own by default.")


def export(workdir: AnyPath, out: AnyPath) -> list[AnyPath]:
    """Writes the heads below `out` and returns their files.

    Raises:
      UserError: there is no run of AAPE or no checkpoint of it, or nothing is to be done.
    """
    read_config(workdir, *(pocket() for pocket in DEFAULTS))
    if not (workdir / "result.json").exists():
        return write_heads(out, read_unfinished(workdir).trainable)
    if out == workdir:
        raise UserError(
            f"{workdir} is finished and has its heads in {workdir / 'heads'}: name another folder "
            "with --out to have copies."
        )
    files = sorted((workdir / "heads").glob("*.safetensors"))
    return write_heads(out, {file.stem: {"head": read_head(file)} for file in files})


def main(argv: Sequence[str]) -> None:
    """Runs the command."""
    del argv
    options = flags.FLAGS
    workdir = as_path(options.workdir)
    out = as_output_folder(options.out, "--out") if options.out else workdir
    for file in export(workdir, out):
        say(f"wrote {file}")


if __name__ == "__main__":
    run_command(main, define_flags)
