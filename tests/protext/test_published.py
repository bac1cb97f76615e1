"""The paper's figures, where a run's own would stand."""

from pathlib import Path

import numpy as np
import pytest

from common.evaluation.summaries import harmonic_mean
from protext_jax.published import ALL_CLASSES, BASE_TO_NEW, CROSS_DATASET, TABLES, published


def test_halves():
    found = published(
        "base_to_new", "dtd", {"base/": "dtd", "new/": "dtd", "cars/": "stanford_cars"}
    )
    assert found["protext (paper)"] == pytest.approx(
        {"base/accuracy": 0.6308, "new/accuracy": 0.6159}
    )
    assert set(found) == {"clip (paper)", "cupl (paper)", "protext (paper)"}


def test_other_protocols():
    found = published("cross_dataset", "imagenet", {"": "imagenet", "dtd/": "dtd", "mine/": ""})
    assert found["coop (paper)"] == pytest.approx({"accuracy": 0.7151, "dtd/accuracy": 0.4192})
    found = published("domain_generalisation", "imagenet", {"imagenet-a/": "imagenet_a"})
    assert found["cupl (paper)"] == pytest.approx({"imagenet-a/accuracy": 0.5072})
    assert published("all_classes", "dtd", {"": ""}) == {}


def test_what_was_learned_from_another_data_set_has_no_figure_of_the_paper():
    found = published("all_classes", "dtd", {"": "dtd", "eurosat/": "eurosat"})
    assert found["protext (paper)"] == pytest.approx({"accuracy": 0.5402})
    assert published("all_classes", "dtd", {"": "eurosat"}) == {}


@pytest.mark.parametrize(
    ("method", "base", "new"), [(0, 69.34, 74.22), (1, 72.56, 74.22), (2, 72.95, 76.98)]
)
def test_averages_are_those_that_the_paper_prints(method, base, new):
    means = np.mean([halves[method] for halves in BASE_TO_NEW.values()], axis=0)
    np.testing.assert_allclose(means, [base, new], atol=0.006)


def test_the_guide_prints_these_figures():
    guide = (Path(__file__).parents[2] / "docs" / "protext.md").read_text("utf-8")
    halves = {
        name: [f"{base:.2f} / {new:.2f}" for base, new in row] for name, row in BASE_TO_NEW.items()
    }
    whole = [
        (name, [f"{number:.2f}" for number in row])
        for _, table in TABLES.values()
        for name, row in table.items()
    ]
    printed = {tuple(map(str.strip, line.split("|")[1:-1])) for line in guide.splitlines()}
    for name, cells in [*halves.items(), *whole]:
        assert (f"`{name}`", *cells) in printed


def test_averages_of_the_other_tables():
    targets = [row for name, row in CROSS_DATASET.items() if name != "imagenet"]
    np.testing.assert_allclose(np.mean(targets, axis=0), [63.88, 65.15, 65.74, 67.23], atol=0.006)
    cupl, waffle, protext = np.mean(list(ALL_CLASSES.values()), axis=0)[1:]
    np.testing.assert_allclose([cupl, waffle, protext], [69.31, 65.97, 69.90], atol=0.006)
    assert harmonic_mean(72.95, 76.98) == pytest.approx(74.91, abs=0.006)
