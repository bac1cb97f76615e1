"""Files of questions in VQA's and easy-VQA's layouts, damaged or of another kind."""

import json
import os
import zipfile

import pytest

from aape_jax.datasets import easy_vqa
from aape_jax.datasets.easy_vqa import read_easy_vqa
from aape_jax.datasets.questions import read_questions
from aape_jax.datasets.vqa2 import read_vqa2
from common.errors import UserError
from tests.aape.question_files import write_easy_vqa, write_vqa2

QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"
ANSWERS = "v2_mscoco_train2014_annotations.json"
CAPTIONS = "captions_train2014.json"


def vqa2(tmp_path, name, change):
    folder = write_vqa2(tmp_path)
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))
    return read_vqa2(str(folder), "train")


def numbers_as_text(content):
    for entry in content["questions"]:
        entry["question_id"], entry["image_id"] = str(entry["question_id"]), str(entry["image_id"])


def numbers_as_floats(content):
    for entry in content["questions"]:
        entry["question_id"] = float(entry["question_id"])


@pytest.mark.parametrize("change", [numbers_as_text, numbers_as_floats])
def test_numbers_whose_meaning_is_plain(tmp_path, change):
    found = vqa2(tmp_path, QUESTIONS, change)
    assert found.image.tolist() == [1, 0, 0]
    assert found.answers[0] == ("green",) * 8 + ("lime", "a green")


def question(**fields):
    return QUESTIONS, lambda content: content["questions"][1].update(fields)


def answer(**fields):
    return ANSWERS, lambda content: content["annotations"][1].update(fields)


FIELDS = {
    "an id of words": (question(question_id="seventy"), "question_id='seventy' .* not a whole"),
    "an id of nothing": (question(question_id=None), "number 1 of .* has no 'question_id'"),
    "a negative id": (question(image_id=-7), "image_id=-7 .* is not a whole number"),
    "half an id": (question(image_id=7.5), "image_id=7.5 .* is not a whole number"),
    "an endless id": (question(image_id=2**64), "is not a whole number"),
    "a list for an id": (question(image_id=[7]), "is not a whole number"),
    "truth for an id": (question(image_id=True), "is not a whole number"),
    "a question as a number": (question(question=3), "question=3 .* is not a text"),
    "a question twice": (question(question_id=420), "has the question 420 twice"),
    "a photo that is not there": (question(image_id=8), "1 photos of .* are absent"),
    "an answer twice": (answer(question_id=420), "has the question 420 twice"),
    "answers as text": (answer(answers="yes"), "answers of question 70 .* not a list of objects"),
    "answers as words": (answer(answers=["yes"]), "answers of question 70"),
    "answers as numbers": (answer(answers=[{"answer": 3}]), "answers of question 70"),
    "answers as an object": (answer(answers={"answer": "yes"}), "answers of question 70"),
    "no answers": (answer(answers=[]), "'Is it red.' has no answers"),
    "a kind as a number": (answer(answer_type=1), "answer_type=1 .* is not a text"),
    "an entry that is a number": (
        (ANSWERS, lambda content: content["annotations"].insert(0, 7)),
        "number 0 of .* is not an object",
    ),
    "questions by number": (
        (QUESTIONS, lambda content: content.update(questions={"1": {}})),
        "holds no list 'questions'",
    ),
    "captions for questions": (
        (
            QUESTIONS,
            lambda content: content.update(
                questions=None, annotations=[{"image_id": 1, "caption": "a cat"}]
            ),
        ),
        "it is COCO's file of captions, so give another",
    ),
    "captions as numbers": (
        (CAPTIONS, lambda content: content["annotations"][0].update(caption=1)),
        "caption=1 .* is not a text",
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_of_vqas_files(tmp_path, name):
    (file, change), said = FIELDS[name]
    with pytest.raises(UserError, match=said):
        vqa2(tmp_path, file, change)


CONTENTS = {
    "half a file": b'{"questions": [{"question_id"',
    "a list": b"[]",
    "a key twice": b'{"questions": [], "questions": []}',
    "infinity": b'{"questions": [Infinity]}',
    "deep nesting": b'{"a":' * 50_000,
    "zeros": bytes(100),
    "another encoding": '{"é": 1}'.encode("utf-16"),
    "half a letter": b'{"questions": [{"question": "\\ud800"}]}',
    "a pointer of Git-LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
    "a web page": b"<!DOCTYPE html>",
}


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_that_are_not_vqas(tmp_path, name):
    folder = write_vqa2(tmp_path)
    (folder / QUESTIONS).write_bytes(CONTENTS[name])
    with pytest.raises(UserError, match=QUESTIONS):
        read_vqa2(str(folder), "train")


ROWS = {
    "two of three": ["what?", "red"],
    "four of three": ["what?", "red", 0, 0],
    "an object": {"question": "what?"},
    "a number for the question": [1, "red", 0],
    "a number for the answer": ["what?", 1, 0],
    "a float for the image": ["what?", "red", 0.5],
    "truth for the image": ["what?", "red", True],
    "a negative image": ["what?", "red", -1],
    "words for the image": ["what?", "red", "first"],
    "an endless image": ["what?", "red", "9" * 5000],
    "nothing": None,
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_easy_vqa(tmp_path, name):
    folder = write_easy_vqa(tmp_path)
    file = folder / "data" / "train" / "questions.json"
    file.write_text(json.dumps([["what colour is it?", "red", 0], ROWS[name]]))
    with pytest.raises(UserError, match=r"cannot be read as .* entry number 1 is"):
        read_easy_vqa(str(folder), "train")


def test_numbers_of_easy_vqa_as_text(tmp_path):
    folder = write_easy_vqa(tmp_path)
    file = folder / "data" / "train" / "questions.json"
    file.write_text(json.dumps([["what colour is it?", "green", "1"]]))
    assert read_easy_vqa(str(folder), "train").pictures.load(0).getpixel((0, 0)) == (0, 255, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [("[]", "holds no questions"), ("{}", "JSON list"), ("[[", "cannot be read as JSON")],
)
def test_contents_that_are_not_easy_vqas(tmp_path, content, said):
    folder = write_easy_vqa(tmp_path)
    (folder / "data" / "train" / "questions.json").write_text(content)
    with pytest.raises(UserError, match=said):
        read_easy_vqa(str(folder), "train")


def test_a_picture_of_easy_vqa_that_is_not_there(tmp_path):
    folder = write_easy_vqa(tmp_path)
    (folder / "data" / "train" / "images" / "1.png").unlink()
    with pytest.raises(UserError, match=r"1 photos of .* are absent, the first .*1\.png"):
        read_easy_vqa(str(folder), "train")


def test_machines_copies_of_easy_vqa(tmp_path):
    folder = write_easy_vqa(tmp_path)
    copy = folder / "__MACOSX" / "train" / "questions.json"
    copy.parent.mkdir(parents=True)
    copy.write_text("[]")
    assert len(read_easy_vqa(str(folder), "train").texts) == 3


def zipped(tmp_path, *names, content=b"photo"):
    folder = write_easy_vqa(tmp_path)
    for part in ("train", "test"):
        images = folder / "data" / part / "images"
        for file in images.iterdir():
            file.unlink()
        images.rmdir()
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name in names:
            archive.writestr(name, content)
    return folder


ALL = [f"data/train/images/{number}.png" for number in range(3)]


def test_an_archive_that_lacks_a_picture(tmp_path):
    with pytest.raises(UserError, match=r"images\.zip lacks train/images/2\.png: download"):
        read_easy_vqa(str(zipped(tmp_path, *ALL[:2])), "train")


def test_an_archive_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(easy_vqa, "LARGEST", 10)
    with pytest.raises(UserError, match="15 bytes, more than 10: unpack it there"):
        read_easy_vqa(str(zipped(tmp_path, *ALL)), "train")


@pytest.mark.parametrize("damage", ["cut", "text", "flipped", "pipe"])
def test_archives_that_are_damaged(tmp_path, damage):
    folder = zipped(tmp_path, *ALL)
    archive = folder / "images.zip"
    content = bytearray(archive.read_bytes())
    if damage == "pipe":
        archive.unlink()
        os.mkfifo(archive)
    elif damage == "flipped":
        content[content.index(b"photo")] ^= 0xFF
        archive.write_bytes(content)
    else:
        archive.write_bytes(b"text" if damage == "text" else content[:-30])
    with pytest.raises(UserError, match=r"images\.zip"):
        read_easy_vqa(str(folder), "train")


@pytest.mark.parametrize(
    "spec",
    ["vqa2:", "vqa2:/nowhere", "easy_vqa:/nowhere", "easy_vqa:~nobody_at_all", "vqa:x", "pocket:x"],
)
def test_strings_that_name_no_questions(spec):
    with pytest.raises(UserError):
        read_questions(spec)
