import pytest

from common.names import file_stem, natural_key, readable


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("pocket:nameless", "pocket-nameless"),
        ("pocket:rare_sketch", "pocket-rare_sketch"),
        ("tfds:oxford_flowers102", "tfds-oxford_flowers102"),
        ("folder:photos", "folder-photos"),
        ("folder:my-photos", "folder-my-photos"),
        ("folder:my photos", "folder-my photos"),
        ("features:test.npz", "features-test.npz"),
        ("coop:Caltech101", "coop-Caltech101"),
        ("folder:Füße", "folder-Füße"),
        ("none", "none"),
    ],
)
def test_usual_names_keep_their_stems(name, stem):
    assert file_stem(name) == stem


def test_a_changed_name_is_still_read_by_people():
    stem, _, digest = file_stem("folder:/home/me/photos").rpartition("~")
    assert stem == "folder-home-me-photos" and len(digest) == 16


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
