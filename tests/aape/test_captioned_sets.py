"""Captioned photos in the layouts that they are downloaded in, sound and damaged."""

import json

import pytest

from aape_jax.datasets import captions_by_image
from aape_jax.datasets.caption_set import FORMS, OPENERS, open_caption_set
from common import files
from common.errors import UserError
from tests.aape.question_files import picture, write, write_nocaps


def content(parts):
    """The captions of every part, and the names of its photos' files."""
    return {
        name: {
            photo.rpartition("/")[2]: captions
            for photo, captions in zip(part.pictures.names, part.captions, strict=True)
        }
        for name, part in parts.items()
    }


def photos(folder, *names):
    for number, name in enumerate(names):
        picture(folder / name, number % 3)


def text(file, *lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n")
    return file


def write_coco(folder, year="2017", **changed):
    """Two photos to learn from and one to test on."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    for part, ids in (("train", (9, 25)), ("val", (139,))):
        images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in ids]
        told = [{"image_id": number, "caption": f"{number}, {n}"} for n in "ab" for number in ids]
        file = folder / "annotations" / f"captions_{part}{year}.json"
        write(file, **{"images": images, "annotations": told} | changed.get(part, {}))
        photos(folder / f"{part}{year}", *(image["file_name"] for image in images))
    return folder


@pytest.mark.parametrize("year", ["2017", "2014"])
def test_coco(tmp_path, year):
    parts = open_caption_set(f"coco:{write_coco(tmp_path, year)}")
    assert content(parts) == {
        "train": {"000000000009.jpg": ("9, a", "9, b"), "000000000025.jpg": ("25, a", "25, b")},
        "test": {"000000000139.jpg": ("139, a", "139, b")},
    }
    assert parts["train"].pictures.load(1).getpixel((0, 0)) == (0, 255, 0)


def test_coco_of_two_years(tmp_path):
    write_coco(write_coco(tmp_path, "2014"), "2017")
    with pytest.raises(UserError, match=r"holds COCO of 2017 and 2014: write coco:.*,2017"):
        open_caption_set(f"coco:{tmp_path}")
    parts = open_caption_set(f"coco:{tmp_path},2014")
    assert "train2014" in parts["train"].pictures.names[0]


IMAGES = [{"id": 139, "file_name": "000000000139.jpg"}]
TOLD = [{"image_id": 139, "caption": "one"}]
COCO = {
    "an image twice": ({"images": IMAGES * 2}, "has the image 139 twice"),
    "an image without captions": (
        {"images": [*IMAGES, {"id": 7, "file_name": "000000000139.jpg"}]},
        "has no caption: add one or leave the image out",
    ),
    "captions of no image": (
        {"annotations": [*TOLD, {"image_id": 4, "caption": "two"}]},
        "has captions of 1 images that it does not list, such as 4",
    ),
    "a photo that is not there": (
        {"images": [{"id": 139, "file_name": "gone.jpg"}]},
        "1 photos of .* are absent, the first .*gone.jpg",
    ),
    "boxes": ({"annotations": [{"image_id": 139, "bbox": []}]}, "it is COCO's file of boxes"),
    "no images": ({"images": []}, "holds no list 'images'"),
}


@pytest.mark.parametrize("name", COCO)
def test_damaged_coco(tmp_path, name):
    changed, said = COCO[name]
    with pytest.raises(UserError, match=said):
        open_caption_set(f"coco:{write_coco(tmp_path, val=changed)}")


def test_coco_that_is_not_complete(tmp_path):
    with pytest.raises(UserError, match=r"neither .*captions_train2017.json nor that of 2014"):
        open_caption_set(f"coco:{tmp_path}")
    folder = write_coco(tmp_path)
    (folder / "val2017").rename(folder / "val")
    with pytest.raises(UserError, match=r"val2017' is not a folder: give the one that holds COCO"):
        open_caption_set(f"coco:{folder}")
    (folder / "annotations/captions_val2017.json").unlink()
    with pytest.raises(UserError, match=r"captions_val2017.json' is missing: download it again"):
        open_caption_set(f"coco:{folder}")


TEN = [f"{number}.jpg" for number in range(10)]
TOKENS = [f"{name}#{n}\t{name} {n} ." for name in TEN[:3] for n in range(2)]
SPLIT = {
    "train": {"0.jpg": ("0.jpg 0 .", "0.jpg 1 ."), "1.jpg": ("1.jpg 0 .", "1.jpg 1 .")},
    "test": {"2.jpg": ("2.jpg 0 .", "2.jpg 1 .")},
}


def write_flickr8k(folder, tokens=TOKENS, train=TEN[:2], test=TEN[2:3]):
    """As its two archives are unpacked."""
    text(folder / "Flickr8k.token.txt", *tokens)
    text(folder / "Flickr_8k.trainImages.txt", *train)
    text(folder / "Flickr_8k.testImages.txt", *test)
    text(folder / "Flickr_8k.devImages.txt", TEN[3])
    photos(folder / "Flicker8k_Dataset", *TEN[:4])
    return folder


def test_flickr8k(tmp_path):
    # The file has the captions of a photo that does not exist.
    write_flickr8k(tmp_path / "data" / "flickr", [*TOKENS, "0.jpg#2\t", "3.jpg.1#0\tA dog"])
    text(tmp_path / "__MACOSX" / "Flickr8k.token.txt", "no caption")
    assert content(open_caption_set(f"flickr8k:{tmp_path}")) == SPLIT


def write_bars(folder):
    """As Kaggle has Flickr30k; a line lacks its second bar there."""
    lines = [f"{name}| 0| {name}, | 0" for name in TEN]
    lines[4] = "4.jpg| 0   A dog runs ."
    root = folder / "flickr30k_images"
    text(root / "results.csv", "image_name| comment_number| comment", *lines)
    photos(root / "flickr30k_images", *TEN)


def write_commas(folder, *more):
    """As Kaggle has Flickr8k, and Flickr30k with a caption without words."""
    lines = [f'{name},"{name}, a ""dog"""' for name in TEN]
    text(folder / "captions.txt", "image,caption", *lines, "8.jpg,", "9.jpg,a dog", *more)
    photos(folder / "Images", *TEN)


def test_flickr30k_of_kaggle(tmp_path, capsys):
    write_bars(tmp_path)
    told = content(open_caption_set(f"flickr30k:{tmp_path}"))
    assert list(told["train"]) == TEN[:9] and told["test"] == {"9.jpg": ("9.jpg, | 0",)}
    assert told["train"]["4.jpg"] == ("A dog runs .",)
    said = capsys.readouterr().out
    assert said.count("has no split: its last 1 of 10 images are tested on") == 1


@pytest.mark.parametrize("kind", ["flickr8k", "flickr30k"])
def test_captions_with_commas(tmp_path, capsys, kind):
    write_commas(tmp_path)
    told = content(open_caption_set(f"{kind}:{tmp_path}"))
    assert told["train"]["8.jpg"] == ('8.jpg, a "dog"',)
    assert told["test"] == {"9.jpg": ('9.jpg, a "dog"', "a dog")}
    said = capsys.readouterr().out
    assert said.count("1 captions of") == 1 and "have no words and are left out" in said


def test_captions_without_names_of_columns(tmp_path):
    text(tmp_path / "captions.txt", "", "0.jpg,a dog", "1.JPG , a cat, which sits")
    photos(tmp_path, "0.jpg", "1.JPG")
    told = content(open_caption_set(f"flickr8k:{tmp_path}"))
    assert told == {"train": {"0.jpg": ("a dog",)}, "test": {"1.JPG": ("a cat, which sits",)}}


def test_flickr30k(tmp_path):
    text(tmp_path / "results_20130124.token", *TOKENS)
    photos(tmp_path / "flickr30k-images", *TEN[:3])
    told = content(open_caption_set(f"flickr30k:{tmp_path}"))
    assert told == SPLIT
    for part, images in (("train", ("2",)), ("test", ("0", "1.jpg"))):
        text(tmp_path / "splits" / f"{part}.txt", *images)
    swapped = content(open_caption_set(f"flickr30k:{tmp_path}"))
    assert swapped == {"train": told["test"], "test": told["train"]}


def test_at_most_a_thousand_are_tested(tmp_path, monkeypatch):
    monkeypatch.setattr(captions_by_image, "MOST", 2)
    names = [f"{number}.jpg" for number in range(40)]
    photos(tmp_path, *names)
    text(tmp_path / "captions.txt", "image,caption", *(f"{name},x" for name in names))
    told = content(open_caption_set(f"flickr8k:{tmp_path}"))
    assert [*told["test"]] == names[-2:] and [*told["train"]] == names[:-2]


FLICKR = {
    "a caption twice": ({"tokens": [*TOKENS, TOKENS[0]]}, "has the caption 0.jpg#0 twice"),
    "an image in both parts": ({"test": TEN[1:3]}, "1 images of .* are in both train and test"),
    "an image twice": ({"test": [TEN[2]] * 2}, "has the image 2.jpg twice"),
    "an image without captions": ({"train": TEN[:4:3]}, r"3\.jpg has no caption: add one"),
    "a photo that is not there": ({"train": TEN[:5:4]}, r"1 photos of .* the first .*4\.jpg"),
    "no photo of the part": ({"test": ["x.jpg"]}, r"holds no photo 'x\.jpg': unpack"),
    "a part of no images": ({"test": []}, r"testImages\.txt is empty"),
    "no captions": ({"tokens": []}, r"token\.txt is empty"),
    "a line without a caption": ({"tokens": [*TOKENS, "x"]}, "line 7 of .* is 'x', which is not"),
    "a line without a number": ({"tokens": [*TOKENS, "x\tdog"]}, "line 7 of .* is not an image"),
    "a line without an image": ({"tokens": [*TOKENS, "#1\tdog"]}, "line 7 of .* is not an image"),
    "another kind of file": ({"tokens": ["<html>", "x"]}, "line 2 of .* is not an image and a"),
}


@pytest.mark.parametrize("name", FLICKR)
def test_damaged_flickr8k(tmp_path, name):
    changed, said = FLICKR[name]
    with pytest.raises(UserError, match=said):
        open_caption_set(f"flickr8k:{write_flickr8k(tmp_path, **changed)}")


def test_flickr_that_is_not_complete(tmp_path):
    with pytest.raises(UserError, match=r"gone' is not a folder: give the one that holds flickr8k"):
        open_caption_set(f"flickr8k:{tmp_path / 'gone'}")
    with pytest.raises(UserError, match=r"none of results_20130124.token, results.csv, captions"):
        open_caption_set(f"flickr30k:{tmp_path}")
    write_flickr8k(tmp_path)
    (tmp_path / "Flickr_8k.testImages.txt").unlink()
    with pytest.raises(UserError, match=r"holds no Flickr_8k.testImages.txt beside the other list"):
        open_caption_set(f"flickr8k:{tmp_path}")


def test_a_bar_that_is_missing_where_nothing_says_the_number(tmp_path):
    text(tmp_path / "results.csv", "image_name| comment_number| comment", "a.jpg| a dog")
    with pytest.raises(UserError, match=r"line 2 of .* is 'a.jpg\| a dog', which is not an image"):
        open_caption_set(f"flickr30k:{tmp_path}")


def by_image(folder, told, *names):
    photos(folder / "photos", *names)
    file = folder / "captions.json"
    file.write_text(json.dumps(told))
    return open_caption_set(f"captions:{file},{folder / 'photos'}")


def test_captions_by_image(tmp_path, capsys):
    told = {name: [name, "a dog", " "] for name in TEN} | {"a/b.jpg": "one"}
    parts = content(by_image(tmp_path, told, *told))
    assert parts["test"] == {"9.jpg": ("9.jpg", "a dog"), "b.jpg": ("one",)}
    assert list(parts["train"]) == TEN[:9]
    assert "10 captions of" in (said := capsys.readouterr().out) and "its last 2 of 11" in said


@pytest.mark.parametrize("test", ["test", "Validation"])
def test_captions_by_image_and_part(tmp_path, test):
    told = {"train": {"0.jpg": ["a"]}, "val": {}, test: {"1.jpg": ["b", "c"]}, "rest": {"x": []}}
    assert content(by_image(tmp_path, told, *TEN)) == {
        "train": {"0.jpg": ("a",)},
        "test": {"1.jpg": ("b", "c")},
    }


TWO = {"0.jpg": ["a"], "1.jpg": ["b"]}
BY_IMAGE = {
    "a number": (TWO | {"2.jpg": 3}, "captions of '2.jpg' in .* are 3, not a list"),
    "a list of numbers": (TWO | {"1.jpg": [3]}, r"captions of '1.jpg' in .* are \[3\], not a list"),
    "objects": (TWO | {"1.jpg": [{"raw": "b"}]}, "not a list of texts: write"),
    "no captions": (TWO | {"1.jpg": []}, r"1\.jpg has no caption: add one"),
    "no words": (TWO | {"1.jpg": [" "]}, r"1\.jpg has no caption: add one"),
    "no images": ({}, "has captions of 0 images: it needs two or more"),
    "one image": ({"0.jpg": ["a"]}, "has captions of 1 images"),
    "a photo that is not there": (TWO | {"x.jpg": ["a"]}, r"1 photos of .* first .*x\.jpg"),
    "one part": ({"train": TWO}, "has the parts 'train', not train and test"),
    "an image in both": ({"train": TWO, "test": TWO}, r"2 images of .* both .*, the first '0.jpg'"),
    "Karpathy's file": (
        {"images": [{"split": "train", "sentences": []}]},
        "is Karpathy's split file, not captions by image",
    ),
    "COCO's file": ({"annotations": [{"caption": "a"}]}, "is COCO's file of captions, not"),
}


@pytest.mark.parametrize("name", BY_IMAGE)
def test_damaged_captions_by_image(tmp_path, name):
    told, said = BY_IMAGE[name]
    with pytest.raises(UserError, match=said):
        by_image(tmp_path, told, *TEN[:2])


@pytest.mark.parametrize("kind", ["captions", "coco", "flickr8k", "karpathy", "nocaps"])
def test_a_file_is_read_once(tmp_path, monkeypatch, kind):
    text = json.dumps({name: ["a"] for name in TEN})
    (tmp_path / "captions.json").write_text(text)
    split = dict(zip(TEN, ("test", *["train"] * 9), strict=True))
    images = [{"filename": x, "split": y, "sentences": [{"raw": "a"}]} for x, y in split.items()]
    write(tmp_path / "karpathy.json", images=images)
    write_coco(tmp_path), write_flickr8k(tmp_path), photos(tmp_path / "photos", *TEN)
    own = write_nocaps(tmp_path)
    specs = {
        "captions": f"captions:{tmp_path}/captions.json,{tmp_path}/photos",
        "coco": f"coco:{tmp_path}",
        "flickr8k": f"flickr8k:{tmp_path}",
        "karpathy": f"karpathy:{tmp_path}/karpathy.json,{tmp_path}/photos",
    }
    specs["nocaps"] = f"nocaps:{own},{tmp_path}/photos,{specs['karpathy']}"
    reads, read_bytes = [], files.read_bytes

    def counted(path, *limits):
        reads.append(path)
        return read_bytes(path, *limits)

    monkeypatch.setattr(files, "read_bytes", counted)
    open_caption_set(specs[kind])
    assert reads and len(reads) == len(set(reads))


def test_every_kind_is_named():
    assert {form.partition(":")[0] for form in FORMS} == OPENERS.keys() - {
        *("nocaps_in", "nocaps_near", "nocaps_out")
    }
    with pytest.raises(UserError, match=r"write pocket:captions, .*flickr30k:FOLDER, .* or, for"):
        open_caption_set("flickr:x")
    with pytest.raises(UserError, match=r"'captions:a.json' needs two paths"):
        open_caption_set("captions:a.json")
