"""NoCaps: its domains as test parts behind the training part of another data set."""

import json

import pytest

from aape_jax.datasets.caption_set import open_caption_set
from common.errors import UserError
from tests.aape.question_files import write_nocaps

TRAIN = "pocket:captions"


def captions(kind, file):
    return open_caption_set(f"{kind}:{file},{file.parent / 'photos'},{TRAIN}")["test"].captions


def test_its_domains(tmp_path):
    file = write_nocaps(tmp_path)
    inside = (("a red thing", "something red"),)
    near = (("green",), ("a blue thing",))
    assert captions("nocaps", file) == inside + near
    assert captions("nocaps_in", file) == inside
    assert captions("nocaps_near", file) == near
    with pytest.raises(UserError, match="has no images of the domain 'out-domain'"):
        captions("nocaps_out", file)


def test_what_is_learned_from(tmp_path):
    found = open_caption_set(f"nocaps:{write_nocaps(tmp_path)},{tmp_path / 'photos'},{TRAIN}")
    assert found["train"].captions == open_caption_set(TRAIN)["train"].captions
    assert found["test"].pictures.load(1).getpixel((0, 0)) == (0, 255, 0)


def test_strings_and_files_that_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"'nocaps:a\.json,b' needs a file, a folder and the data"):
        open_caption_set("nocaps:a.json,b")
    file = write_nocaps(tmp_path)
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][1:]
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"c\.png has no caption"):
        captions("nocaps", file)
    (tmp_path / "photos" / "b.png").unlink()
    with pytest.raises(UserError, match=r"1 photos of .*nocaps\.json are absent"):
        captions("nocaps_near", file)
