"""Writes the heads that a run has learned so far, without finishing it.

    python -m aape_jax.export --workdir=DIR [--out=DIR2]

A finished run has written them itself, to `DIR/heads`. Of a run that is not finished, those of its
newest checkpoint are written to `DIR2/heads`, by default to DIR, where `aape_jax.evaluate` looks
for them; the same training command still goes on with the run.

For example:

    python -m aape_jax.export --workdir=runs/aape
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
from absl import flags
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.captioning.captioner import initial, speakers
from aape_jax.core.heads_file import heads_in, read_head, require_fit, write_heads
from aape_jax.evaluate import DEFAULTS, task_of
from common.config import read_config
from common.errors import UserError, run_command
from common.paths import AnyPath, as_output_folder, as_path
from common.progress import say
from common.training.sharding import by_path
from common.training.unfinished import read_unfinished


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("workdir", None, "Folder of a training run.", required=True)
    flags.DEFINE_string("out", None, "Folder for `heads/`; the run's own by default.")


def export(workdir: AnyPath, out: AnyPath) -> list[AnyPath]:
    """Write the heads below `out` and return their files.

    Raises:
      UserError: there is no run of AAPE or no checkpoint of it, its heads do not fit the config, or
        nothing is to be done.
    """
    config = read_config(workdir, *(defaults() for defaults in DEFAULTS))
    finished = (workdir / "result.json").exists()
    if finished and out == workdir:
        raise UserError(
            f"{workdir} is finished and has its heads in {workdir / 'heads'}: name another folder "
            "with --out to have copies."
        )
    learned = _finished(workdir) if finished else read_unfinished(workdir).trainable
    if task_of(config) in CHECKS:
        CHECKS[task_of(config)](config, heads_in(learned))
    return write_heads(out, learned)


def require_captioner(config: ConfigDict, heads: Mapping[str, PyTree]) -> None:
    """Refuse what a captioning run wrote if it does not fit together, or not the run's config.

    Models need not be at hand: their widths are those of the visual map and of h.

    Args:
      config: The run's.
      heads: Parameters by the name of their file.

    Raises:
      UserError: an array has another shape, or there is none.
    """
    known = speakers(config)
    channels, lm_width = _sizes(heads, "visual", "kernel")
    width = _sizes(heads, next(iter(known)), "generator/down")[0] if known else 1
    fresh = jax.eval_shape(
        lambda key: initial(known, key, channels, width, 1, lm_width), jax.random.key(0)
    )
    for name, params in fresh.items():
        require_fit(name, heads.get(name, {}), params["map" if name == "visual" else "head"])


def _sizes(heads: Mapping[str, PyTree], name: str, path: str) -> tuple[int, int]:
    shape = np.shape(by_path(heads.get(name, {})).get(path, 0))
    if len(shape) != 2 or not all(shape):
        raise UserError(
            f"the head {name!r} has {path} of the shape {shape or 'none'}, which is not that of a "
            "matrix: give the run as it was written."
        )
    return shape


CHECKS: dict[str, Callable[[ConfigDict, Mapping[str, PyTree]], None]] = {
    "Captioning": require_captioner,
}
"""What the heads of a task have to fulfil; see `task_of`."""


def _finished(workdir: AnyPath) -> PyTree:
    files = sorted((workdir / "heads").glob("*.safetensors"))
    return {file.stem: {"head": read_head(file)} for file in files}


def main(argv: Sequence[str]) -> None:
    """Run the command."""
    del argv
    options = flags.FLAGS
    workdir = as_path(options.workdir)
    out = as_output_folder(options.out, "--out") if options.out else workdir
    for file in export(workdir, out):
        say(f"wrote {file}")


if __name__ == "__main__":
    run_command(main, define_flags)
