import pytest

from common.names import file_stem


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
