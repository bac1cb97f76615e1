"""Data sets of questions in the layouts of their authors, a few questions each."""

import json
import zipfile

import pytest

from aape_jax.datasets.questions import OPENERS, read_questions
from common.errors import UserError
from tests.aape.question_files import photo, write_easy_vqa, write_vqa2


@pytest.mark.parametrize("packed", [False, True])
def test_easy_vqas_folder(tmp_path, packed):
    folder = write_easy_vqa(tmp_path)
    if packed:
        with zipfile.ZipFile(folder / "images.zip", "w") as archive:
            for part in ("train", "test"):
                images = folder / "data" / part / "images"
                for file in sorted(images.iterdir()):
                    archive.write(file, f"easy_vqa/data/{part}/images/{file.name}")
                    file.unlink()
                images.rmdir()
    found = OPENERS["easy_vqa"](str(folder), "train")
    assert found.texts == ("what colour is it?",) * 3
    assert found.answers == (("red",), ("green",), ("blue",))
    assert found.image.tolist() == [0, 1, 2]
    assert found.pictures.load(1).getpixel((0, 0)) == (0, 255, 0)


def test_folders_that_are_not_easy_vqas(tmp_path):
    with pytest.raises(UserError, match=r"holds no train/questions\.json"):
        OPENERS["easy_vqa"](str(tmp_path), "train")
    folder = write_easy_vqa(tmp_path)
    (folder / "data" / "test" / "questions.json").write_text("[[1]]")
    with pytest.raises(UserError, match="cannot be read as"):
        OPENERS["easy_vqa"](str(folder), "test")


def test_the_pocket_questions():
    found = OPENERS["pocket"]("questions", "test")
    assert len(found.texts) == 9 * len(found.pictures)
    assert len(found.captions) == len(found.pictures) == 200
    with pytest.raises(UserError, match="no set of questions 'pocket:others'"):
        OPENERS["pocket"]("others", "test")


def test_vqa2s_files(tmp_path):
    found = read_questions(f"vqa2:{write_vqa2(tmp_path)}")
    train, test = found["train"], found["test"]
    assert train.texts == ("What colour is it?", "Is it red?", "How many?")
    assert train.image.tolist() == [1, 0, 0], "of the photos 7 and 42, in this order"
    assert train.pictures.load(1).getpixel((0, 0)) == (0, 255, 0)
    assert train.answers[0] == ("green",) * 8 + ("lime", "a green")
    assert train.kinds == ("other", "yes/no", "number")
    assert train.captions == (("a red thing", "something red"), ("green",))
    assert test.texts == ("What colour is it?",)
    assert not any(test.captions), "nothing is learned from the test part"


def test_vqa2_without_captions(tmp_path):
    folder = write_vqa2(tmp_path)
    (folder / "captions_train2014.json").unlink()
    assert not any(OPENERS["vqa2"](str(folder), "train").captions)


def spoilt(folder, name, change):
    file = folder / name
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


QUESTIONS = "v2_OpenEnded_mscoco_train2014_questions.json"
ANSWERS = "v2_mscoco_train2014_annotations.json"


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (QUESTIONS, lambda c: c.clear(), "holds no list 'questions'"),
        (QUESTIONS, lambda c: c["questions"][1].pop("image_id"), "number 1 of .* no 'image_id'"),
        (ANSWERS, lambda c: c["annotations"].pop(0), "question 420 of .* has no answers in"),
        (ANSWERS, lambda c: c["annotations"][2].update(answers=[]), "'How many.' has no answers"),
        (ANSWERS, lambda c: c["annotations"][0].update(answers=[1]), "answers of question 420 in"),
        (
            "captions_train2014.json",
            lambda c: c["annotations"].pop(),
            "000000000042.jpg has no caption and other images have some",
        ),
    ],
)
def test_files_that_are_not_vqa2s(tmp_path, name, change, sentence):
    folder = write_vqa2(tmp_path)
    spoilt(folder, name, change)
    with pytest.raises(UserError, match=sentence):
        OPENERS["vqa2"](str(folder), "train")


def test_what_vqa2_lacks(tmp_path):
    folder = write_vqa2(tmp_path)
    photo(folder, "train2014", 42).unlink()
    with pytest.raises(UserError, match=r"1 photos of .* are absent, the first .*0042\.jpg"):
        OPENERS["vqa2"](str(folder), "train")
    (folder / ANSWERS).unlink()
    with pytest.raises(UserError, match=r"annotations\.json' is missing: download it again"):
        OPENERS["vqa2"](str(folder), "train")


def test_strings_that_name_no_questions():
    with pytest.raises(UserError, match="data='karpathy:a,b' is not a data set of questions"):
        read_questions("karpathy:a,b")
