"""CLIP from lists to numpy: whatever the photos come as, compiled once for each of few sizes."""

import jax
import numpy as np
import pytest
from PIL import Image

from common.clip import encode_image, encode_text, load_clip
from common.errors import UserError
from common.pocket.datasets import open_pocket

CLASSES = ("mallow", "velk")


@pytest.fixture(scope="module")
def clip(quick_compiler):
    return load_clip("pocket")


@pytest.fixture(scope="module")
def photos():
    test = open_pocket("rare").test
    return [test.load(row) for row in range(17)]


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_features_are_those_of_the_towers(clip, photos):
    pixels = np.stack([clip.preprocess(photo) for photo in photos])
    run = jax.jit(encode_image, static_argnums=0)
    expected = unit(np.asarray(run(clip.image_tower, clip.params["vision"], pixels)))
    found = clip.image_features(photos)
    assert isinstance(found, np.ndarray) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)

    texts = ["a photo of a red thing", "blue", ""]
    run = jax.jit(encode_text, static_argnums=0)
    ids = clip.tokenizer(texts)
    expected = unit(np.asarray(run(clip.text_tower, clip.params["text"], ids)))
    np.testing.assert_allclose(clip.text_features(texts), expected, atol=2e-6)


def test_arrays_paths_and_images_are_the_same_photo(clip, photos, tmp_path):
    path = tmp_path / "photo.png"
    photos[0].save(path)
    with Image.open(path) as opened:
        mixed = [photos[0], np.asarray(photos[0]), path, str(path), opened, opened]
        found = clip.image_features(mixed)
    np.testing.assert_allclose(found, np.repeat(found[:1], len(mixed), axis=0), atol=1e-6)
    stacked = np.stack([np.asarray(photo) for photo in photos[:2]])
    np.testing.assert_allclose(clip.image_features(stacked)[0], found[0], atol=1e-6)


def test_a_photo_in_a_file_and_opened_lies_as_its_metadata_say(clip, photos, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[274] = 6
    photos[0].save(path, exif=exif, quality=95)
    with Image.open(path) as opened:
        by_path, by_image = clip.image_features([path, opened])
    np.testing.assert_allclose(by_path, by_image, atol=1e-6)


def test_lists_may_be_empty(clip):
    assert clip.image_features([]).shape == clip.text_features([]).shape == (0, 128)
    assert clip.classify([], CLASSES).probabilities.shape == (0, 2)


@pytest.fixture
def compiled(caplog):
    """A function that gives the encoders' programs that were compiled since it was called last."""

    def messages():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return [text for text in found if text.startswith("Compiling") and "encode" in text]

    with jax.log_compiles(), caplog.at_level("WARNING"):
        yield messages


def test_no_size_compiles_twice(clip, photos, compiled):
    texts = [f"a photo of {number} things" for number in range(17)]

    def encode_all_sizes(clip):
        for size in (1, 7, 8, 9, 16, 17):
            assert len(clip.image_features(photos[:size])) == size
            assert len(clip.text_features(texts[:size])) == size

    jax.clear_caches()
    encode_all_sizes(clip)
    assert len(compiled()) == 2 * 3  # Eight devices share each batch: of 8, 16 and 32.
    encode_all_sizes(clip)
    encode_all_sizes(load_clip("pocket"))
    assert not compiled()


def test_long_lists_keep_their_order(clip, photos):
    many = photos * 5  # A full batch, and a part.
    found = clip.image_features(many)
    np.testing.assert_allclose(found, np.tile(found[: len(photos)], (5, 1)), atol=1e-6)


def test_classes_are_means_over_templates(clip, photos):
    templates = ["a photo of a {}.", "{} on sand"]
    found = clip.class_features(CLASSES, templates)
    parts = [clip.text_features([x.replace("{}", n) for x in templates]) for n in CLASSES]
    np.testing.assert_allclose(found, unit(np.stack([x.mean(axis=0) for x in parts])), atol=1e-6)

    predictions = clip.classify(photos, CLASSES, templates=templates)
    logits = clip.image_features(photos) @ found.T * np.exp(clip.params["logit_scale"])
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions.probabilities, expected, rtol=1e-3)
    assert predictions.names == [CLASSES[label] for label in logits.argmax(axis=1)]
    assert len(predictions) == len(photos) and predictions.classnames == CLASSES


def test_zero_shot_accuracy_is_far_above_chance(clip):
    rare = open_pocket("rare")
    rows = range(0, len(rare.test), 7)
    found = clip.classify([rare.test.load(row) for row in rows], rare.classnames)
    assert np.mean(found.labels == rare.test.labels[list(rows)]) > 0.5


def test_the_dtype_may_be_said_in_words():
    assert load_clip("pocket", "auto").fingerprint == load_clip("pocket").fingerprint
    with pytest.raises(UserError, match=r"dtype='half' is unknown"):
        load_clip("pocket", "half")


PICTURE = Image.new("RGB", (8, 8))


@pytest.mark.parametrize(
    ("photos", "sentence"),
    [
        (PICTURE, r"photos is a single picture or path, not a list: write \[photos\]"),
        ("a.png", "single picture or path"),
        (np.zeros((8, 8, 3), np.uint8), "single picture or path"),
        (7, "photos is of type int, not a list"),
        ([PICTURE, None], r"photos\[1\] is of type NoneType: give a PIL image"),
        ([PICTURE, "no.png", "nor.png"], r"photos\[1\] \(no.png\).*photos\[2\] \(nor.png\)"),
        ([np.zeros((8, 8, 3))], r"photos\[0\] is an array of float64 with the shape \(8, 8, 3\)"),
        ([np.zeros((8, 8), np.uint8)], r"with the shape \(8, 8\): give uint8 \[h, w, 3\]"),
        ([np.zeros((1, 2000, 3), np.uint8)], r"photos\[0\] cannot be read \(it has 2000 x 1"),
        ([Image.new("F", (8, 8))], r"photos\[0\] cannot be read \(its pixels are floating"),
        ([Image.new("RGB", (0, 8))], r"photos\[0\] cannot be read \(it has 0 x 8 pixels"),
    ],
)
def test_bad_photos_are_named(clip, photos, sentence):
    with pytest.raises(UserError, match=sentence):
        clip.image_features(photos)


def test_damaged_files_are_all_named(clip, photos, tmp_path):
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff damaged")
    broken = [tmp_path / "one.jpg", *photos * 5, tmp_path / "two.jpg"]
    with pytest.raises(UserError, match=r"2 pictures .*photos\[0\].*one.jpg.*photos\[86\].*two"):
        clip.image_features(broken)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ("a photo", r"texts is a single text, not a list: write \['a photo'\]"),
        (["a", 3], r"texts\[1\] is of type int: give a text"),
        (["a", "word " * 40], r"texts\[1\], 'word.*', has \d+ tokens, and 20 fit: shorten"),
        (["\ud800"], r"texts\[0\], '\\ud800', is not UTF-8"),
    ],
)
def test_bad_texts_are_named(clip, texts, sentence):
    with pytest.raises(UserError, match=sentence):
        clip.text_features(texts)


def test_long_texts_may_be_cut(clip):
    long, cut = clip.text_features(["red " * 40, "red " * 20], truncate=True)
    np.testing.assert_allclose(long, cut, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "templates", "sentence"),
    [
        ([], "a {}", "names is empty"),
        ("cat", "a {}", "names is a single text"),
        (["cat"], "a cat", r"templates\[0\], 'a cat', has no {}"),
        (["cat"], [], "templates is empty"),
        (["cat", " _"], "a {}", r"names\[1\], ' _', is empty: give each class a name"),
        (["cat", "\u200e"], "a {}", r"names\[1\], .* is empty: give each class a name"),
        (["cat", 1], "a {}", r"names\[1\] is of type int"),
        (["cat", "fox " * 20], ["a {}", "{}"], r"names\[1\], 'a fox.*, has \d+ tokens, and 20 fit"),
    ],
)
def test_bad_classes_are_named(clip, names, templates, sentence):
    with pytest.raises(UserError, match=sentence):
        clip.classify([PICTURE], names, templates=templates)
