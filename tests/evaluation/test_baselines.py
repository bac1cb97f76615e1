import numpy as np
import pytest

from common.evaluation.baselines import (
    BASELINES,
    linear_probe,
    nearest_class_mean,
    nearest_neighbour,
)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Three directions, labelled 5, 2 and 9, with a little noise."""
    rng = np.random.default_rng(0)
    labels = np.asarray([5, 2, 9] * 4)
    centres = {5: [1, 0, 0], 2: [0, 1, 0], 9: [0, 0, 1]}
    return np.asarray([centres[y] for y in labels]) + 0.05 * rng.normal(size=(12, 3)), labels


@pytest.mark.parametrize("name", list(BASELINES))
def test_labels_come_back_whatever_their_numbers_and_lengths(blobs, name: str):
    features, labels = blobs
    queries = np.asarray([[0, 0, 7.0], [0.01, 0, 0], [0, 3.0, 0]])

    assert BASELINES[name](features, labels, queries).tolist() == [9, 5, 2]
    assert BASELINES[name](features[:1], labels[:1], queries).tolist() == [5, 5, 5]


@pytest.mark.parametrize("name", list(BASELINES))
def test_one_example_per_class_and_half_precision(blobs, name: str):
    features, labels = blobs

    predicted = BASELINES[name](features[:3].astype(np.float16), labels[:3], features)

    assert predicted.tolist() == labels.tolist()


def test_class_means_are_of_normalised_features_and_normalised_again():
    # Unnormalised, the long example would pull its class's mean onto its own direction.
    features = np.asarray([[100.0, 0.0], [0.0, 1.0], [1.0, -0.2]])
    labels = np.asarray([0, 0, 1])

    assert nearest_class_mean(features, labels, np.asarray([[1.0, 0.1]])).tolist() == [1]
    # The mean of opposite directions is short, but as good a direction as any.
    features = np.asarray([[1.0, 1.0], [1.0, -1.0], [0.8, 0.6]])
    assert nearest_class_mean(features, labels, np.asarray([[1.0, 0.1]])).tolist() == [0]


def test_nearest_neighbour_is_not_the_nearest_mean():
    features = np.asarray([[1.0, 0.0], [-1.0, 0.5], [1.0, 1.0]])
    labels = np.asarray([0, 0, 1])

    assert nearest_neighbour(features, labels, np.asarray([[1.0, 0.3]])).tolist() == [0]
    assert nearest_class_mean(features, labels, np.asarray([[1.0, 0.3]])).tolist() == [1]


@pytest.fixture
def caltech(shared_data):
    return np.load(shared_data / "clip_image_features" / "caltech101.npz")


def score(baseline, caltech, shots: int) -> float:
    train, labels = caltech[f"shot{shots}_x"], caltech[f"shot{shots}_y"].astype(np.int64)
    return float(np.mean(baseline(train, labels, caltech["test_x"]) == caltech["test_y"]))


@pytest.mark.parametrize(("shots", "expected"), [(1, 0.7578), (4, 0.8819), (16, 0.9136)])
def test_nearest_class_mean_on_real_clip_features(caltech, shots: int, expected: float):
    assert score(nearest_class_mean, caltech, shots) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("shots", "expected"), [(1, 0.7805), (4, 0.9010)])
def test_linear_probe_on_real_clip_features(caltech, shots: int, expected: float):
    found = score(linear_probe, caltech, shots)

    assert found == pytest.approx(expected, abs=0.004)
    assert found == score(linear_probe, caltech, shots)
    assert found > score(nearest_class_mean, caltech, shots)


def test_nearest_neighbour_on_real_clip_features(caltech):
    assert score(nearest_neighbour, caltech, 16) == pytest.approx(0.9002, abs=5e-4)
