"""Trains MC-TI: a token for each class, from a few photos of it.

    python -m mcti_jax.train --config=configs/mcti.py[:key=value,...] --workdir=DIR

For example the bundled pocket models and pictures, or your own photos, a folder per class:

    python -m mcti_jax.train --config=configs/mcti.py --workdir=runs/mcti
    python -m mcti_jax.train --config=configs/mcti.py:paper=photos,data=folder:photos \\
        --config.init_word=dog --workdir=runs/mine

`python -m common.fields configs/mcti.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from collections.abc import Sequence

from common.config import define_flags, read_flags
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import say, train
from mcti_jax.drift import drift_table
from mcti_jax.legend import legend
from mcti_jax.method import MCTI


def main(argv: Sequence[str]) -> None:
    """Train, evaluate and write the tokens."""
    del argv
    run = read_flags()
    config, workdir = run.config, run.workdir
    result = train(MCTI(config), workdir)
    print_table(result)
    if tokens := result.get("details", {}).get("tokens"):
        say(drift_table(tokens))
    say(f"\n{legend(result)}\n")
    say(f"all of it: {workdir}/result.json; python -m common.report --html={workdir}")
    for name in MCTI.writes:
        if (workdir / name).exists():
            say(f"wrote {workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
