"""Trains ProText: prompts learned from sentences; no picture is needed.

    python -m protext_jax.train --config=configs/protext.py[:key=value,...] --workdir=DIR

For example the bundled pocket world, or your own sentences, a JSON {class: [sentence, ...]}:

    python -m protext_jax.train --config=configs/protext.py --workdir=runs/protext
    python -m protext_jax.train --config=configs/protext.py:prompts=corpus.json \\
        --config.model=openai/clip-vit-base-patch16 --config.depth=9 --workdir=runs/mine

`python -m common.fields configs/protext.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from collections.abc import Sequence

from common.config import define_flags, read_flags
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import say, train
from protext_jax.method import ProText
from protext_jax.runs import make_runs
from protext_jax.sweep import sweep_table


def main(argv: Sequence[str]) -> None:
    """Train, evaluate and write the prompts."""
    del argv
    run = read_flags()
    result = train(ProText(run.config), run.workdir)
    print_table(result)
    if "sweep" in result["details"]:
        say(f"\n{sweep_table(make_runs(run.config), result)}")
    for name in ProText.writes:
        if (run.workdir / name).exists():
            say(f"wrote {run.workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
