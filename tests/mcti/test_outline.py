"""What is described without weights and photos, against what is loaded."""

import jax
import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from common.training.mesh import make_mesh
from configs.mcti import get_config
from mcti_jax.method import MCTI
from tests.mcti.tiny_models import write_tiny_models

pytestmark = pytest.mark.usefixtures("quick_compiler", "shapes_found_once")


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    sd, clip = write_tiny_models(folder)
    for label in "abc":
        (folder / "photos" / label).mkdir(parents=True)
        for i in range(3):
            picture = Image.fromarray(np.full((9, 9, 3), 40 * i + ord(label), np.uint8))
            picture.save(folder / "photos" / label / f"{i}.png")
    where = f"model={sd},clip={clip},cache={folder}/cache,data=folder:{folder}/photos"
    return f"{where},progress=false,shots=2"


def layout(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)


@pytest.mark.parametrize(
    "changes", ["vectors=2", "alpha=0,prototypes=true,dtype=bfloat16", "compare_ti=false"]
)
def test_the_described_tree_is_the_loaded_one(where, changes):
    config, mesh = get_config(f"{where},{changes}").lock(), make_mesh(8, 1)
    loaded, described = MCTI(config), MCTI(config)
    expected = loaded.load(mesh)
    found = described.abstract(mesh)
    assert layout(found.frozen) == layout(expected.frozen)
    assert layout(found.source.batch(0)) == layout(expected.source.batch(0))
    assert described.layout == loaded.layout
    key = jax.random.key(0)
    assert layout(described.init(key)) == layout(loaded.init(key))


def test_classes_stand_in_for_the_data(where):
    config = get_config(f"{where},data=coop:absent,classes=7").lock()
    frozen = MCTI(config).abstract(make_mesh(1, 1)).frozen
    assert frozen["bank"].features.shape[:2] == (7, 4)


@pytest.mark.parametrize(
    ("classes", "row"), [(7, {"not read": "classes=7, for common.aot alone"}), (3, {}), (0, {})]
)
def test_a_run_tells_that_it_reads_its_data_for_the_number_of_classes(where, classes, row):
    config, told = get_config(f"{where},classes={classes}").lock(), []
    MCTI(config).load(make_mesh(1, 1), told.append)
    assert {name: text for name, text in told[0].items() if name == "not read"} == row


def test_all_photos_cannot_be_counted_without_the_data(where):
    config = get_config(f"{where},data=coop:absent,classes=7,shots=0").lock()
    with pytest.raises(UserError, match="shots=0 takes all photos of 'coop:absent'"):
        MCTI(config).abstract(make_mesh(1, 1))
