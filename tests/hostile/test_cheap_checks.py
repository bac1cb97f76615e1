"""Data strings that name something absent, which is told before anything large is read."""

import json

import numpy as np
import pytest

from aape_jax.datasets import caption_set
from aape_jax.datasets.caption_set import open_caption_set
from aape_jax.datasets.questions import read_questions
from aape_jax.retrieval import features
from aape_jax.retrieval.features import open_retrieval_set
from common.data import open_dataset
from common.errors import UserError
from tests.aape.feature_files import captioned
from tests.aape.question_files import picture, write, write_easy_vqa, write_nocaps, write_vqa2
from tests.hostile.photo_files import classes
from tests.hostile.test_data_sets import Source, stub


@pytest.fixture
def unread(monkeypatch):
    """Makes a function of a module fail the test when it is called."""

    def never(where):
        monkeypatch.setattr(where, lambda *_, **__: pytest.fail(f"{where} was called"))

    return never


class TestNoCaps:
    """The training set behind it has a file of 150 MB."""

    @pytest.fixture
    def files(self, tmp_path, monkeypatch):
        def train(where):
            pytest.fail("the training set was opened")

        monkeypatch.setitem(caption_set.OPENERS, "karpathy", train)
        return write_nocaps(tmp_path), tmp_path / "photos"

    @pytest.mark.parametrize("kind", ["nocaps", "nocaps_in", "nocaps_near", "nocaps_out"])
    def test_its_own_file(self, files, kind):
        with pytest.raises(UserError, match=r"gone\.json' is missing"):
            open_caption_set(f"{kind}:{files[0].parent}/gone.json,{files[1]},karpathy:a,b")

    def test_its_own_photos(self, files):
        with pytest.raises(UserError, match="gone' is not a folder: give the one that holds NoC"):
            open_caption_set(f"nocaps:{files[0]},{files[1].parent / 'gone'},karpathy:a,b")
        (files[1] / "b.png").unlink()
        with pytest.raises(UserError, match=r"1 photos of .*nocaps\.json are absent"):
            open_caption_set(f"nocaps:{files[0]},{files[1]},karpathy:a,b")

    def test_the_test_part_of_its_training_set_is_not_asked_for(self, tmp_path):
        own, photos = write_nocaps(tmp_path), tmp_path / "photos"
        image = {"filename": "a.png", "split": "train", "sentences": [{"raw": "one"}]}
        file = write(tmp_path / "karpathy.json", images=[image])
        found = open_caption_set(f"nocaps:{own},{photos},karpathy:{file},{photos}")
        assert found["train"].captions == (("one",),) and len(found["test"].captions) == 3
        with pytest.raises(UserError, match="has no images of the part 'test'"):
            open_caption_set(f"karpathy:{file},{photos}")


def test_the_photos_of_karpathys_file(tmp_path, unread):
    unread("aape_jax.datasets.karpathy.read_json")
    with pytest.raises(UserError, match="gone' is not a folder: give the one that holds COCO's"):
        open_caption_set(f"karpathy:{tmp_path / 'karpathy.json'},{tmp_path / 'gone'}")


@pytest.mark.parametrize("part", ["train", "test"])
def test_features_of_a_part(tmp_path, monkeypatch, part):
    file, reads = captioned(tmp_path), []
    with np.load(file) as archive:
        arrays = dict(archive)

    def read(path):
        reads.append(path)
        return arrays

    monkeypatch.setattr(features, "read_feature_file", read)
    open_retrieval_set(f"features:{file}", "")
    assert len(reads) == 1, "both parts lie in one file"
    narrow = {
        f"{part}_{name}": arrays[f"{part}_{name}"][:, :9] for name in ("features", "captions")
    }
    arrays |= narrow
    with pytest.raises(UserError, match=r"have width .* and test_features .*: take both from one"):
        open_retrieval_set(f"features:{file}", "")
    del arrays[f"{part}_owner"]
    monkeypatch.setattr(features, "require_features", lambda *_: pytest.fail("looked at"))
    with pytest.raises(UserError, match=f"holds no array '{part}_owner'"):
        open_retrieval_set(f"features:{file}", "")


@pytest.mark.parametrize(
    "name",
    [
        f"v2_{kind}.json"
        for part in ("train2014", "val2014")
        for kind in (f"OpenEnded_mscoco_{part}_questions", f"mscoco_{part}_annotations")
    ],
)
def test_a_file_of_vqa2(tmp_path, unread, name):
    folder = write_vqa2(tmp_path)
    (folder / name).unlink()
    unread("aape_jax.datasets.vqa2.entries")
    with pytest.raises(UserError, match=f"{name}' is missing: download it again"):
        read_questions(f"vqa2:{folder}")


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_of_easy_vqa(tmp_path, unread, part):
    folder = write_easy_vqa(tmp_path)
    (folder / "data" / part / "questions.json").unlink()
    unread("aape_jax.datasets.easy_vqa._read")
    with pytest.raises(UserError, match=f"holds no {part}/questions.json: give easy-VQA's folder"):
        read_questions(f"easy_vqa:{folder}")


def test_a_class_that_is_tested_and_not_trained(tmp_path, unread):
    classes(tmp_path / "train", "cat", "dog")
    classes(tmp_path / "test", "cat", "ox")
    unread("common.data.folder.photos_in")
    with pytest.raises(UserError, match=r"class 'ox' is in .* but not among the training classes"):
        open_dataset(f"folder:{tmp_path}")


def test_a_class_of_imagenet_that_is_not_tested(tmp_path, unread):
    classes(tmp_path / "images" / "train", "n01", "n02")
    classes(tmp_path / "images" / "val", "n01")
    (tmp_path / "classnames.txt").write_text("n01 tench\nn02 shark\n")
    unread("common.data.coop_layouts.photos_in")
    with pytest.raises(UserError, match="val has no folder of the class 'n02'"):
        open_dataset(f"coop:{tmp_path}")


def test_a_set_of_tfds_without_a_train_part(monkeypatch):
    stub(monkeypatch, test=[0, 1], other=[0])
    monkeypatch.setattr(Source, "__getitem__", lambda *_: pytest.fail("an example was read"))
    with pytest.raises(UserError, match=r"has no train part \(it has test, other\)"):
        open_dataset("tfds:x")


def test_files_that_are_there_are_read_as_before(tmp_path):
    folder = write_vqa2(tmp_path)
    texts = read_questions(f"vqa2:{folder}")
    assert list(texts) == ["train", "test"]
    listed = json.loads((folder / "v2_OpenEnded_mscoco_val2014_questions.json").read_text())
    assert len(texts["test"].texts) == len(listed["questions"])
    picture(tmp_path / "more" / "a.png", 0)
    assert list(read_questions(f"easy_vqa:{write_easy_vqa(tmp_path / 'easy')}")) == list(texts)
