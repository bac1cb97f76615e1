"""Prompts as the web UIs read them: brackets, weights and BREAK."""

import pytest

from common.diffusion.weighted import as_weighted, looks_weighted, weighted_spans
from common.errors import UserError


def read(prompt):
    return [
        [(span.text, round(span.weight, 6)) for span in part] for part in weighted_spans(prompt)
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", [("", 1)]),
        ("a dog", [("a dog", 1)]),
        ("a (red) dog", [("a ", 1), ("red", 1.1), (" dog", 1)]),
        ("a (red:1.3) dog", [("a ", 1), ("red", 1.3), (" dog", 1)]),
        ("a (red: 1.3 ) dog", [("a ", 1), ("red", 1.3), (" dog", 1)]),
        ("[dog]", [("dog", 0.909091)]),
        ("((dog))", [("dog", 1.21)]),
        ("([dog])", [("dog", 1)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1), (" c", 0.5)]),
        (r"\(dog\) \[a\] \\ \x", [(r"(dog) [a] \ x", 1)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        ("(dog", [("dog", 1.1)]),
        ("a [dog", [("a ", 1), ("dog", 0.909091)]),
        ("dog)", [("dog)", 1)]),
        ("dog:1.3)", [("dog:1.3)", 1)]),
        ("dog] 10:30", [("dog] 10:30", 1)]),
        ("(unnecessary)(brackets)", [("unnecessarybrackets", 1.1)]),
        ("(<my-dog>:1.2)", [("<my-dog>", 1.2)]),
        ("(a:-0.5)", [("a", -0.5)]),
        ("BREAKFAST", [("BREAKFAST", 1)]),
    ],
)
def test_weights_of_a_prompt(prompt, expected):
    parts = [[span for span in part if span[0]] for part in read(prompt)]
    assert parts == [[span for span in expected if span[0]]]


def test_parts_of_a_prompt():
    assert read("a BREAK b") == [[("a", 1)], [("b", 1)]]
    assert read("(a BREAK b:1.2)") == [[("a", 1.2)], [("b", 1.2)]]


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("(a:1.2.3)", r"'1.2.3' in the prompt '\(a:1.2.3\)' is not a number"),
        ("(a:101)", "the weight of 'a' is 101: give a number from -100 to 100"),
        ("(" * 60 + "a", "the weight of 'a' is 304"),
        ("(a:" + "9" * 400 + ")", "is inf"),
        ("a [cat:dog:0.5]", r"'\[cat:dog:0.5\]' would change the prompt between steps"),
        ("a [dog:10]", "between steps"),
        ("a [cat|dog]", "between steps"),
    ],
)
def test_what_is_not_a_weight(prompt, sentence):
    with pytest.raises(UserError, match=sentence):
        weighted_spans(prompt)


@pytest.mark.parametrize("prompt", ["(" * 9000, "[a:" * 9000, "\\" * 9001, ":1" * 9000])
def test_long_prompts_take_no_time(prompt):
    try:
        weighted_spans(prompt)
    except UserError as error:
        assert len(str(error)) < 500


def test_what_looks_weighted():
    meant = ("(dog:1.3)", "((dog))", "[[dog]]", r"\(dog\)", "a BREAK b")
    assert all(map(looks_weighted, meant))
    assert not any(
        map(looks_weighted, ("a dog", "a dog (brown)", "[dog]", "BREAKFAST", "at 10:30"))
    )


@pytest.mark.parametrize("prompt", ["a (dog:1.3) [cat] \\", "((", "plain"])
def test_a_plain_prompt_as_a_weighted_one(prompt):
    assert read(as_weighted(prompt)) == [[(prompt, 1.0)]]
