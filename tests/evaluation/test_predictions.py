import csv

import numpy as np
import pytest

from common.csv_text import csv_text
from common.evaluation.predictions import prediction_tables
from common.training import Evaluation
from common.training.outputs import write_outputs

NAMES = ("cat", "dog", "fox")
LABELS, PREDICTED = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 0, 1, 1, 2, 0])
PHOTOS = ("a.png", "b.png", "c.png", "d.png", "e.png", "f.png")


@pytest.fixture(scope="module")
def tables():
    return prediction_tables(PREDICTED, LABELS, NAMES, PHOTOS)


def test_precision_recall_and_f1_by_hand(tables):
    cat, dog, fox = tables["classes"]
    assert cat == {
        "class": "cat",
        "photos": 4,
        "found": 3,
        "precision": 1.0,
        "recall": 0.75,
        "f1": pytest.approx(2 * 3 / (4 + 3), abs=1e-6),
    }
    assert (dog["precision"], dog["recall"], dog["f1"]) == (0.5, 0.5, 0.5)
    # No photo shows a fox, so nothing can be said of its recall.
    assert (fox["precision"], fox["recall"], fox["f1"]) == (0.0, None, 0.0)


def test_each_mistake_names_its_photo(tables):
    assert tables["mistakes"] == [
        {"photo": "c.png", "class": "cat", "taken_for": "dog"},
        {"photo": "e.png", "class": "dog", "taken_for": "fox"},
    ]


def test_the_confusion_matrix_is_listed_without_zeros(tables):
    listed = {(row["class"], row["taken_for"]): row["photos"] for row in tables["confusion"]}
    assert listed == {
        ("cat", "cat"): 3,
        ("cat", "dog"): 1,
        ("dog", "dog"): 1,
        ("dog", "fox"): 1,
    }


def test_an_evaluation_s_tables_become_csv(tables, tmp_path):
    write_outputs(Evaluation({}, tables=tables), tmp_path, "mine-")
    assert {path.name for path in tmp_path.iterdir()} == {
        "mine-classes.csv",
        "mine-mistakes.csv",
        "mine-confusion.csv",
    }
    rows = list(csv.DictReader((tmp_path / "mine-classes.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == list(NAMES)
    assert rows[2]["recall"] == ""


def test_without_mistakes_no_list_of_them_is_left(tables, tmp_path):
    write_outputs(Evaluation({}, tables=tables), tmp_path)
    right = prediction_tables(LABELS, LABELS, NAMES, PHOTOS)
    write_outputs(Evaluation({}, tables=right), tmp_path)
    assert not (tmp_path / "mistakes.csv").exists()
    assert (tmp_path / "classes.csv").exists()


def test_a_line_break_or_comma_in_a_value_stays_in_its_field():
    rows = [{"photo": 'a,"b"\nc', "class": "x"}]
    assert list(csv.DictReader(csv_text(rows).splitlines(keepends=True))) == rows
