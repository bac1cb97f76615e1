"""VQA accuracy on hand-made cases."""

import pytest

from common.errors import UserError
from common.evaluation.vqa import cut, mean_accuracies, normalise, vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("A Dog.", "dog"),
        ("the two dogs", "2 dogs"),
        ("none", "0"),
        ("1,000", "1000"),
        ("black/white", "black white"),
        ("black / white", "black white"),
        ("t-shirt", "t shirt"),
        ("yes!", "yes"),
        ("Yes, it is", "yes it is"),
        ("3.5", "3.5"),
        ("u.s.", "us"),
        ("its a cat, isnt it", "its cat isn't it"),
        ("they couldnt've", "they couldn't've"),
        ("im here", "im here"),
        (" red\n", "red"),
    ],
)
def test_normalisation(answer, expected):
    assert normalise(answer) == expected


@pytest.mark.parametrize(("same", "expected"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1)])
def test_how_many_people_gave_the_answer(same, expected):
    # By hand for 3 of 10: three subsets have two left (2/3), seven have three (1): 0.9.
    people = ["Red"] * same + [f"other {i}" for i in range(10 - same)]
    assert vqa_accuracy("the red", people) == pytest.approx(expected)


def test_people_who_agree_are_taken_by_the_letter():
    assert vqa_accuracy("two", ["two"] * 10) == 1
    assert vqa_accuracy("2", ["two"] * 10) == 0
    assert vqa_accuracy("2", ["two"] * 9 + ["2"]) == 1


def test_a_single_person():
    assert vqa_accuracy("the Dog", ["dog"]) == 1
    assert vqa_accuracy("cat", ["dog"]) == 0


def test_a_question_without_answers():
    with pytest.raises(UserError, match="has no answers"):
        vqa_accuracy("yes", [])


def test_generated_answers_are_cut():
    assert cut(" dark red car\nQ: what", 2) == "dark red"
    assert cut("", 2) == ""


def test_means_by_kind_of_answer():
    answers = ["yes", "2", "cat", "no"]
    given = [["yes"], ["3"], ["cat"], ["no"]]
    found = mean_accuracies(answers, given)
    assert found == {"accuracy": 3 / 4, "accuracy_yes_no": 1, "accuracy_other": 1 / 2}
    # A data set may call an answer of "no" something else.
    found = mean_accuracies(answers, given, ["yes/no", "number", "other", "other"])
    expected = {"accuracy_yes_no": 1, "accuracy_number": 0, "accuracy_other": 1}
    assert found == {"accuracy": 3 / 4, **expected}
