"""Trains MC-TI tokens.

python -m mcti_jax.train --config=configs/mcti.py[:key=value,...] --workdir=DIR
"""

from collections.abc import Sequence

from common.config import define_flags, read_flags
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import say, train
from mcti_jax.drift import drift_table
from mcti_jax.method import MCTI


def main(argv: Sequence[str]) -> None:
    """Trains, evaluates and writes the tokens."""
    del argv
    run = read_flags()
    config, workdir = run.config, run.workdir
    result = train(MCTI(config), config, workdir)
    print_table(result)
    say(drift_table(result["details"]["tokens"]))
    for name in ("samples.png", "confusion.png", "tokens"):
        if (workdir / name).exists():
            say(f"wrote {workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
