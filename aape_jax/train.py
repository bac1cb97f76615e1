"""Trains AAPE; the config says for which task.

    python -m aape_jax.train --config=configs/aape.py[:key=value,...] --workdir=DIR

For example few-shot classification, retrieval, questions and captions in the pocket world:

    python -m aape_jax.train --config=configs/aape.py:shots=4 --workdir=runs/aape
    python -m aape_jax.train --config=configs/aape_retrieval.py --workdir=runs/retrieval
    python -m aape_jax.train --config=configs/aape_vqa.py --workdir=runs/vqa
    python -m aape_jax.train --config=configs/aape_captioning.py --workdir=runs/captioning

`python -m common.fields configs/aape.py` lists the fields that can be set, behind the colon or
by --config.key=value. If a run was stopped, the same command on the same folder continues it.
"""

from collections.abc import Sequence

from common.config import define_flags, read_flags
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import find_method, say, train


def main(argv: Sequence[str]) -> None:
    """Train, evaluate and write the heads."""
    del argv
    run = read_flags()
    config, workdir = run.config, run.workdir
    method = find_method(config)
    result = train(method, workdir)
    print_table(result)
    for name in method.writes:
        if (workdir / name).exists():
            say(f"wrote {workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
