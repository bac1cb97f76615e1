"""Files of captions in COCO's, Karpathy's and NoCaps' layouts, damaged or of another kind."""

import json

import pytest

from aape_jax.datasets.caption_set import CaptionSet, open_caption_set
from aape_jax.datasets.coco_files import Entries, captions_in
from aape_jax.datasets.nocaps import validation
from common.errors import UserError
from tests.aape.question_files import write_nocaps
from tests.hostile.photo_files import photo


def image(name="a.png", part="train", **changed):
    sentences = [{"raw": "a cat", "tokens": ["a", "cat"]}, {"raw": "some cat"}]
    own = {"filename": name, "filepath": "all", "split": part, "sentences": sentences} | changed
    return {key: value for key, value in own.items() if value is not ...}


def karpathy(tmp_path, *images, **content):
    for name in ("a.png", "b.png"):
        photo(tmp_path / "photos" / "all" / name)
        photo(tmp_path / "photos" / name)
    file = tmp_path / "karpathy.json"
    file.write_text(json.dumps(content or {"images": images}))
    return open_caption_set(f"karpathy:{file},{tmp_path / 'photos'}")


TEST = image("b.png", "test")


def test_a_sound_file(tmp_path):
    found = karpathy(tmp_path, image(part="restval"), TEST, image(part="val"))
    assert found["train"].captions == (("a cat", "some cat"),)
    assert [len(part.pictures) for part in found.values()] == [1, 1]


def test_flickrs_files_have_no_folders(tmp_path):
    found = karpathy(tmp_path, image(filepath=...), TEST)
    assert found["train"].pictures.names[0].endswith("photos/a.png")


def test_captions_without_words_are_left_out(tmp_path, capsys):
    told = [{"raw": text} for text in ("a cat", "  ", "\n")]
    found = karpathy(tmp_path, image(sentences=told), TEST)
    assert found["train"].captions == (("a cat",),)
    assert "2 captions of" in capsys.readouterr().out
    annotations = [{"image_id": 1, "caption": text} for text in ("a cat", " ")]
    assert captions_in({"annotations": annotations}, tmp_path) == {1: ("a cat",)}
    assert "1 captions of" in capsys.readouterr().out


@pytest.mark.parametrize("part", ["test", "train", "restval"])
def test_an_image_that_is_there_twice(tmp_path, part):
    with pytest.raises(UserError, match=r"has the image all/b\.png twice"):
        karpathy(tmp_path, image(), TEST, image("b.png", part))


IMAGES = {
    "no split": (image(split=...), "number 0 of .* has no 'split'"),
    "no file": (image(filename=...), "has no 'filename'"),
    "no sentences": (image(sentences=...), "has no 'sentences'"),
    "sentences of nothing": (image(sentences=None), "has no 'sentences'"),
    "sentences of spaces": (image(sentences=[{"raw": " "}]), "has no caption"),
    "an empty list of sentences": (image(sentences=[]), "has no caption"),
    "sentences as text": (image(sentences=["a cat"]), "sentences.0.=.* is not an object"),
    "a sentence without words": (image(sentences=[{"tokens": []}]), "lacks images.0..sentences"),
    "a sentence as a number": (image(sentences=[{"raw": 3}]), "raw=3 .* is not a text"),
    "a sentence as a list": (image(sentences=[{"raw": ["a"]}]), "is not a text"),
    "one sentence, not a list": (image(sentences="a cat"), "is not a list"),
    "a file as a number": (image(filename=7), "filename=7 .* is not a text"),
    "a part as a number": (image(split=1), "split=1 .* is not a text"),
    "a photo that is not there": (image("c.png"), "1 photos of .* are absent, the first .*c.png"),
    "a photo of 5,000 letters": (image("x" * 5000), "1 photos of .* are absent"),
    "a photo with a zero byte": (image("a\0b"), "1 photos of .* are absent"),
    "a device": (image("/dev/zero"), "1 photos of .* are absent"),
    "a number for an image": (7, "number 0 of .* is not an object"),
    "a list for an image": ([], "is not an object"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_of_karpathys_file(tmp_path, name):
    own, said = IMAGES[name]
    with pytest.raises(UserError, match=said):
        karpathy(tmp_path, own, TEST)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_without_images(tmp_path, part):
    other = {"train": TEST, "test": image()}[part]
    with pytest.raises(UserError, match=f"has no images of the part '{part}'"):
        karpathy(tmp_path, other)


OTHERS = {
    "COCO's captions": (
        {"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "caption": "c"}]},
        "it is COCO's file of captions, so give another",
    ),
    "COCO's boxes": (
        {"images": [{"id": 1}], "annotations": [{"image_id": 1, "bbox": []}]},
        "it is COCO's file of boxes",
    ),
    "VQA's questions": ({"questions": [{"question": "?"}]}, "it is VQA's file of questions"),
    "CoOp's split": ({"train": [], "test": []}, "holds no list 'images'"),
    "images by name": ({"images": {"a.png": {}}}, "holds no list 'images'"),
    "no images": ({"images": []}, "holds no list 'images'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_files_of_another_kind_are_named(tmp_path, name):
    content, said = OTHERS[name]
    with pytest.raises(UserError, match=said):
        karpathy(tmp_path, **content)


def test_karpathys_file_is_named_where_cocos_is_wanted(tmp_path):
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"images": [image()]}))
    with pytest.raises(UserError, match="no list 'annotations': it is Karpathy's split file"):
        captions_in(json.loads(file.read_text()), file)


def nocaps(tmp_path, change):
    file = write_nocaps(tmp_path)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return CaptionSet(
        *validation("nocaps", f"{file},{tmp_path / 'photos'},pocket:captions")
    ).captions


EXPECTED = (("a red thing", "something red"), ("green",), ("a blue thing",))


def as_text(content):
    for each in content["images"]:
        each["id"] = str(each["id"])


def as_floats(content):
    for each in content["annotations"]:
        each["image_id"] = float(each["image_id"])


def as_words(content):
    for each in content["images"]:
        each["id"] = f"img-{each['id']}"
    for each in content["annotations"]:
        each["image_id"] = f"img-{each['image_id']}"


@pytest.mark.parametrize("change", [as_text, as_floats, as_words])
def test_ids_whose_meaning_is_plain(tmp_path, change):
    assert nocaps(tmp_path, change) == EXPECTED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["images"][1].update(id=0), "has the image 0 twice"),
        (lambda c: c["images"][1].update(id=1.5), "id=1.5 .* is not a whole number"),
        (lambda c: c["images"][1].update(id=-1), "id=-1 .* is not a whole number"),
        (lambda c: c["images"][1].update(id=2**70), "is not a whole number"),
        (lambda c: c["images"][1].update(id=True), "is not a whole number"),
        (lambda c: c["images"][1].update(id=[1]), "is not a whole number"),
        (lambda c: c["images"][1].update(domain=3), "domain=3 .* is not a text"),
        (lambda c: c["images"][1].pop("domain"), "number 1 of .* has no 'domain'"),
        (lambda c: c["images"][0].update(file_name=3), "file_name=3 .* is not a text"),
        (lambda c: c["annotations"][0].update(caption=3), "caption=3 .* is not a text"),
        (lambda c: c["annotations"][0].pop("caption"), "number 0 of .* has no 'caption'"),
        (lambda c: c["annotations"][0].update(image_id=None), "has no 'image_id'"),
        (lambda c: c.update(annotations={}), "no list 'annotations'"),
        (lambda c: c["annotations"].clear(), "no list 'annotations'"),
    ],
)
def test_fields_of_cocos_layout(tmp_path, change, said):
    with pytest.raises(UserError, match=said):
        nocaps(tmp_path, change)


@pytest.mark.parametrize(
    "spec",
    [
        "karpathy:a.json",
        "karpathy:,",
        "nocaps:a.json,photos",
        "nocaps_far:a,b,c",
        "nocaps:x,y,nocaps:x,y,z",
        "pocket:capitons",
        "features",
        "",
        "karpathy:~nobody_at_all/a.json,photos",
        f"karpathy:{'x' * 5000},photos",
        "karpathy:/dev/zero,photos",
    ],
)
def test_strings_that_name_no_captions(spec):
    with pytest.raises(UserError):
        open_caption_set(spec)


def test_columns_keep_their_order(tmp_path):
    listed = Entries(tmp_path, "x", [{"a": "3"}, {"a": 1}, {"a": 2.0}])
    assert listed.numbers("a") == [3, 1, 2] and listed.ids("a") == [3, 1, 2]
