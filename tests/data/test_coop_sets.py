"""The data sets of CoOp's line of papers."""

import pytest

from common.data.coop_sets import COOP_SETS, IMAGENET_VARIANTS, identify, own_template


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *((known.folder, name) for name, known in COOP_SETS.items()),
        *((folder, name) for name, folder in IMAGENET_VARIANTS.items()),
        ("imagenet_v2/matched-frequency", "imagenet_v2"),
        ("imagenet2012", "imagenet"),
        ("imagenet_resized", "imagenet"),
        ("oxford_iiit_pet", "oxford_pets"),
        ("oxford_flowers102", "oxford_flowers"),
        ("cars196", "stanford_cars"),
        ("DescribableTextures", "dtd"),
        ("stanford-cars", "stanford_cars"),
        ("StanfordCars", "stanford_cars"),
        ("OxfordIIITPet", "oxford_pets"),
        ("flowers102", "oxford_flowers"),
        ("fgvc-aircraft-2013b", "fgvc_aircraft"),
        ("EuroSAT_RGB", "eurosat"),
        ("UCF-101-midframes", "ucf101"),
        ("imagenet-1k", "imagenet"),
        *((name, "") for name in ("pocket:rare", "carpets", "Puppets", "competition", "scars")),
        *((name, "") for name in ("imagenette", "seafood", "food11", "caltech_birds2011", "ucf50")),
    ],
)
def test_data_sets_by_any_name(name, known):
    assert identify(name) == known


def test_variants_have_the_template_of_imagenet():
    assert own_template("imagenet_v2") == own_template("imagenet") == own_template("zoo")
    assert all(known.template.count("{}") == 1 for known in COOP_SETS.values())
