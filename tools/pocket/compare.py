"""Figures of several folders of pocket models, side by side, all by one judge.

    python -m tools.pocket.compare --models=DIR,DIR,... [--judge=FILE] [--out=FILE]

A folder is one that `tools.pocket.pretrain` wrote. The judge is a file that a training has left in
its work folder; without it one is trained, which takes minutes. For example:

    python -m tools.pocket.compare --models=common/pocket/models,OUT
"""

from collections.abc import Mapping

from absl import flags

from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table
from common.files import atomic_write
from common.paths import as_output
from common.progress import say
from tools.pocket.card import measured
from tools.pocket.judge import read_judge, train_judge
from tools.pocket.recipe import FULL
from tools.pocket.starting import Start


def main(argv: list[str]) -> None:
    """Print the table of the folders."""
    del argv
    values = flags.FLAGS
    models = {name: Start.opened(name) for name in values.models if name}
    if not models:
        raise UserError("--models names no folder: give --models=DIR,DIR,...")
    out = as_output(values.out, "--out", ".md") if values.out else None
    judge = read_judge(values.judge) if values.judge else train_judge(FULL.judge, FULL.seed)
    table = side_by_side(
        {name: measured(x.clip, x.sd, judge, FULL.test_size) for name, x in models.items()}
    )
    say(table)
    if out:
        with atomic_write(out) as path:
            path.write_text(f"{table}\n")


def side_by_side(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table with a column for each folder; all have the same figures."""
    first = next(iter(figures.values()))
    rows = [(name, *(f"{each[name]:.3f}" for each in figures.values())) for name in first]
    return markdown_table(("figure", *figures), rows)


def define_flags() -> None:
    """Define the command's flags."""
    flags.DEFINE_list("models", None, "Folders of models.", required=True)
    flags.DEFINE_string("judge", None, "Parameters of a judge; without, one is trained.")
    flags.DEFINE_string("out", None, "A Markdown file for the table.")


if __name__ == "__main__":
    run_command(main, define_flags)
