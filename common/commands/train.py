"""The command `train`, the same for every method: it trains the method that the config names.

    python -m common.commands.train --config=FILE.py[:key=value,...] --workdir=DIR

The packages of the methods offer it under their own names, e.g. `mcti_jax.train`. For example a
method of your own, whose config says `config.method = "my_methods:Probe"`:

    python -m common.commands.train --config=my_config.py:updates=100 --workdir=runs/mine

`python -m common.fields configs/mcti.py` lists the fields of a config.
"""

from collections.abc import Sequence

from common.config import define_flags as define_flags
from common.config import read_flags
from common.errors import run_command


def main(argv: Sequence[str]) -> None:
    """Train, evaluate, write what users take away, and say where it lies."""
    # What runs is imported once the flags are in order, so that help and mistakes show at once.
    from common.commands.runs import train_run

    del argv
    run = read_flags()
    train_run(run.config, run.workdir)


if __name__ == "__main__":
    run_command(main, define_flags)
