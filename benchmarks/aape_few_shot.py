"""Few-shot classifiers on cached features: those that need no prompts, beside each other.

    python -m benchmarks.aape_few_shot --data=features:FILE.npz,... [--source=features:FILE.npz]

Without `--source` there are no class features from text. The adapters, which add to a zero-shot
classifier, are then given the classes' mean image features in its place, and the row "zero_shot"
is that of these means.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from aape_jax.classification.bank import read_bank
from aape_jax.classification.baselines.few_shot import FEW_SHOT, Problem
from common.data import FeatureDataset, open_dataset
from common.errors import UserError, run_command
from common.evaluation.baselines import BASELINES
from common.evaluation.classification import accuracy, class_means, nearest_by_cosine, normalise
from common.evaluation.summaries import summarise
from common.evaluation.tables import Value, markdown_table


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_list("data", None, "Data sets of features, e.g. one for each number of shots.")
    flags.DEFINE_string("source", "", "Text features of the classes: features:FILE.npz.")
    flags.DEFINE_integer("batch", 32, "Of training, where the baseline has none of its own.")
    flags.DEFINE_integer("seeds", 3, "Of training, from 0.", lower_bound=1)
    flags.mark_flags_as_required(["data"])


def measure(
    dataset: FeatureDataset, w: np.ndarray | None, batch: int, seeds: int
) -> dict[str, Value]:
    """Return the accuracy of each classifier on the test part; no part is used to choose numbers.

    Only the adapters that are trained differ from seed to seed.
    """
    x, test = normalise(dataset.train.features), normalise(dataset.test.features)
    labels = dataset.train.labels
    w = class_means(x, labels) if w is None else w
    results = {"zero_shot": [accuracy(nearest_by_cosine(test, w), dataset.test.labels)]}
    for name, classify in BASELINES.items():
        results[name] = [accuracy(classify(x, labels, test), dataset.test.labels)]
    for name, own in FEW_SHOT.items():
        problems = [Problem(x, labels, w, None, batch, seed) for seed in range(seeds)]
        scores = [own.learn(problem)(test, None) for problem in problems]
        results[name] = [accuracy(logits.argmax(axis=1), dataset.test.labels) for logits in scores]
    return {name: summarise(numbers) for name, numbers in results.items()}


def main(argv: Sequence[str]) -> None:
    """Print a column for each data set."""
    del argv
    options = flags.FLAGS
    columns = []
    for spec in options.data:
        dataset = open_dataset(spec)
        if not isinstance(dataset, FeatureDataset):
            raise UserError(f"{spec!r} holds photos: give features:FILE.npz.")
        w = None
        if options.source:
            file = Path(options.source.removeprefix("features:")).expanduser()
            w = read_bank(file, dataset.classnames).classes
        columns.append(measure(dataset, w, options.batch, options.seeds))
        print(spec, {name: value.show(share=True) for name, value in columns[-1].items()})
    rows = [[name, *(column[name].show(share=True) for column in columns)] for name in columns[0]]
    print(markdown_table(["classifier", *options.data], rows))


if __name__ == "__main__":
    run_command(main, define_flags)
