from common.data.names import natural_key, readable


def test_numbers_in_names_count():
    names = ["10", "9", "img10", "img2", "img02", "a", "B", "1"]

    assert sorted(names, key=natural_key) == [
        "1",
        "9",
        "10",
        "B",
        "a",
        "img02",
        "img2",
        "img10",
    ]


def test_non_ascii_digits_are_plain_characters():
    assert sorted(["b²", "a²"], key=natural_key) == ["a²", "b²"]


def test_readable_names():
    assert readable("yin_yang") == "yin yang"
    assert readable("wild__cat_ ") == "wild cat"
