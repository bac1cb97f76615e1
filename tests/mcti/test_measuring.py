"""What is learned from and what is measured when a run is measured on another data set."""

import numpy as np

from common.data import few_shot, open_dataset
from mcti_jax.measuring import measured_on
from tests.mcti.tiny import settings

EACH = 6


def features(path, classnames, seed):
    """A file of different features, six of each class."""
    rows = np.random.default_rng(seed).normal(size=(EACH * len(classnames), 4)).astype(np.float32)
    labels = np.repeat(np.arange(len(classnames)), EACH)
    np.savez(path, features=rows, labels=labels, classnames=np.array(classnames))
    return f"features:{path}"


def rows_of(split, classnames):
    """The features of each class, in no order."""
    return {
        name: sorted(map(tuple, split.features[split.labels == label].tolist()))
        for label, name in enumerate(classnames)
    }


def test_baselines_learn_from_the_photos_of_the_run_whatever_the_order_of_the_classes(tmp_path):
    own = features(tmp_path / "own.npz", ["ant", "bee", "cow"], seed=0)
    other = features(tmp_path / "other.npz", ["cow", "ant", "bee"], seed=1)
    config = settings(data=own, alpha=0.0, shots=2, shots_seed=3)
    dataset = open_dataset(own, holdout=config.holdout)
    learned = few_shot(dataset.train, config.shots, config.shots_seed)
    measured = measured_on(config, other)
    assert measured.classnames != dataset.classnames
    assert rows_of(measured.train, measured.classnames) == rows_of(learned, dataset.classnames)


def test_all_but_what_was_learned_from_is_measured(tmp_path):
    own = features(tmp_path / "own.npz", ["ant", "bee"], seed=0)
    measured = measured_on(settings(data=own, alpha=0.0, shots=2), own)
    assert len(measured.test) == 2 * (EACH - 2)
