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
from common.evaluation.tables import print_table
from common.paths import AnyPath
from common.progress import say
from common.training import Method, find_method, train


def main(argv: Sequence[str]) -> None:
    """Train, evaluate, write what users take away, and say where it lies."""
    del argv
    run = read_flags()
    method = find_method(run.config)
    result = train(method, run.workdir)
    print_table(result)
    for table in method.tables(method.config, result):
        say(table)
    say(f"all of it: {run.workdir}/result.json; python -m common.report --html={run.workdir}")
    tell_written(method, run.workdir)


def tell_written(method: Method | type[Method], folder: AnyPath) -> None:
    """Print what a method has written into a folder."""
    for name in method.writes:
        if (folder / name).exists():
            say(f"wrote {folder / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
