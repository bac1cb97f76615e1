import json
from collections import Counter

import pytest

from common.data.templates import TEMPLATES


@pytest.mark.parametrize(
    ("name", "count"),
    [("photo", 1), ("textual_inversion", 27), ("textual_inversion_style", 17), ("imagenet", 80)],
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
    assert set(TEMPLATES["textual_inversion"]) == {
        f"{start} {{}}" for start in TEXTUAL_INVERSION.strip().splitlines()
    }


TEXTUAL_INVERSION = """
a photo of a
a photo of the
a photo of my
a photo of one
the photo of a
a photo of a clean
a photo of a cool
a photo of a nice
a photo of a small
a photo of a dirty
a photo of the clean
a photo of the cool
a photo of the nice
a photo of the small
a photo of the weird
a photo of the large
a rendering of a
a rendition of a
a rendition of the
a cropped photo of a
a cropped photo of the
a good photo of a
a good photo of the
a close-up photo of a
a close-up photo of the
a dark photo of the
a bright photo of the
"""


def test_imagenet_templates_are_clips(shared_data):
    clips = json.loads((shared_data / "clip_vocab" / "imagenet_templates_80.json").read_text())

    assert set(TEMPLATES["imagenet"]) == set(clips)
