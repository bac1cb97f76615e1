import json
from collections import Counter

import pytest

from common.data.templates import TEMPLATES


@pytest.mark.parametrize(
    ("name", "count"), [("photo", 1), ("textual_inversion", 27), ("imagenet", 80)]
)
def test_templates_are_distinct_and_have_one_slot(name: str, count: int):
    templates = TEMPLATES[name]

    assert len(templates) == len(set(templates)) == count
    assert all(template.count("{}") == 1 for template in templates)
    assert all(template == " ".join(template.split()) for template in templates)


def test_textual_inversion_slots_are_last_and_where_the_paper_code_has_them():
    def position(template: str) -> int:
        # BOS is 0, each word one token, and CLIP splits "close-up" into three.
        return 1 + len(template.replace("-", " - ").split()[:-1])

    templates = TEMPLATES["textual_inversion"]

    assert all(template.endswith(" {}") for template in templates)
    assert Counter(map(position, templates)) == {5: 8, 6: 17, 8: 2}


def test_textual_inversion_members():
    templates = set(TEMPLATES["textual_inversion"])

    assert {"a photo of one {}", "the photo of a {}", "a photo of the nice {}"} <= templates
    assert {
        "a photo of the weird {}",
        "a rendition of the {}",
        "a dark photo of the {}",
    } <= templates
    assert (
        not {"a photo of a weird {}", "a rendering of the {}", "a dark photo of a {}"}
        & templates
    )


def test_imagenet_templates_are_clips(shared_data):
    clips = json.loads((shared_data / "clip_vocab" / "imagenet_templates_80.json").read_text())

    assert set(TEMPLATES["imagenet"]) == set(clips)
