"""Trains AAPE.

python -m aape_jax.train --config=configs/aape.py[:key=value,...] --workdir=DIR
"""

from collections.abc import Sequence

from ml_collections import ConfigDict

from aape_jax.material import class_parts, training_split
from aape_jax.optimizer import counts
from common.aot.program import find_method
from common.config import define_flags, read_flags
from common.data import open_dataset
from common.errors import run_command
from common.evaluation.tables import print_table
from common.training import say, train


def with_counts(config: ConfigDict) -> ConfigDict:
    """The config with the loop's counts, where a schedule says them and not the user."""
    if config.get("schedule", "counts") == "counts":  # Retrieval has no other.
        return config
    dataset = open_dataset(config.data, holdout=config.holdout)
    learned = next(iter(class_parts(config.subsample, len(dataset.classnames)).values()))
    config.update(counts(config, len(training_split(config, dataset, learned))))
    return config


def main(argv: Sequence[str]) -> None:
    """Trains, evaluates and writes the heads."""
    del argv
    run = read_flags()
    config, workdir = with_counts(run.config), run.workdir
    result = train(find_method(config), config, workdir)
    print_table(result)
    for name in ("attention.png", "answers.png", "captions.png", "captions.json", "heads"):
        if (workdir / name).exists():
            say(f"wrote {workdir / name}")


if __name__ == "__main__":
    run_command(main, define_flags)
