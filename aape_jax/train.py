"""Trains AAPE.

python -m aape_jax.train --config=configs/aape.py[:key=value,...] --workdir=DIR
"""

from collections.abc import Sequence

from common.aot.program import find_method
from common.config import define_flags, read_flags
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import say, train


def main(argv: Sequence[str]) -> None:
    """Trains, evaluates and writes the heads."""
    del argv
    run = read_flags()
    config, workdir = run.config, run.workdir
    result = train(find_method(config), config, workdir)
    print_table(result)
    for name in ("attention.png", "answers.png", "captions.png", "captions.json", "heads"):
        if (workdir / name).exists():
            say(f"wrote {workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
