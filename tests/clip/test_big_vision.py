"""SigLIP in big_vision's own files: every layout of them is the same model."""

from dataclasses import replace

import jax
import ml_dtypes
import numpy as np
import pytest

from common.clip import load_clip, save_clip
from common.clip.big_vision import image_side, siglip_sizes
from common.clip.checkpoint import abstract_params
from common.clip.families.siglip import SIGLIP
from common.clip.known import KNOWN, describe_clip
from common.clip.siglip_tokenizer import SigLIPTokenizer
from common.convert import convert
from common.errors import UserError
from common.weights.big_vision import read_big_vision
from common.weights.files import read_tensors
from common.weights.siglip import BIG_VISION
from common.weights.table import to_source
from tests.clip.siglip_models import big_vision_file, small_siglip, write_tokenizer

LAYOUTS = {
    "usual": {},
    "bare": {"prefix": ""},
    "stacked": {"stacked": True},
    "stacked and bare": {"stacked": True, "prefix": ""},
}


@pytest.fixture(scope="module")
def siglip(tmp_path_factory):
    folder = write_tokenizer(tmp_path_factory.mktemp("siglip"), "siglip")
    return small_siglip(SigLIPTokenizer.from_directory(folder))


@pytest.fixture
def folder(tmp_path):
    return write_tokenizer(tmp_path, "siglip")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_the_same_model(siglip, folder, layout):
    file = folder / "siglip.npz"
    big_vision_file(siglip, file, **layout)
    clip = load_clip(str(file))
    jax.tree.map(np.testing.assert_array_equal, clip.params, siglip.params)
    assert clip.config.text == siglip.config.text
    # Of 28 pixels: the multiple of 32 lies as near, and patches of 7 leave 4 over.
    assert clip.config.vision.image_size == 32
    assert describe_clip(str(file)).config == clip.config
    save_clip(clip, folder / "saved")
    assert load_clip(str(folder / "saved")).fingerprint == clip.fingerprint
    assert "vision_model.head.probe" in read_tensors(folder / "saved")


def test_a_configuration_beside_it_says_the_size(siglip, folder):
    save_clip(siglip, folder)
    big_vision_file(siglip, folder / "siglip.npz")
    clip = load_clip(str(folder / "siglip.npz"))
    assert clip.config == siglip.config
    assert clip.fingerprint == load_clip(str(folder)).fingerprint


def test_the_same_in_hugging_faces_layout_is_one_file_too(siglip, folder):
    save_clip(siglip, folder)
    clip = load_clip(str(folder / "model.safetensors"))
    assert clip.fingerprint == load_clip(str(folder)).fingerprint
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="is the weights alone, not a model's folder"):
        load_clip(str(folder / "model.safetensors"))


def test_bfloat16_is_read_as_what_it_is(siglip, folder):
    big_vision_file(siglip, folder / "siglip.npz", half=True)
    clip = load_clip(str(folder / "siglip.npz"))
    rounded = jax.tree.map(lambda x: x.astype(ml_dtypes.bfloat16).astype("float32"), siglip.params)
    jax.tree.map(np.testing.assert_array_equal, clip.params, rounded)


def test_a_tower_without_projection_gets_the_identity(tmp_path):
    write_tokenizer(tmp_path, "siglip")
    clip = small_siglip(SigLIPTokenizer.from_directory(tmp_path), width=40, heads=4)
    big_vision_file(clip, tmp_path / "siglip.npz", head=False)
    found = load_clip(str(tmp_path / "siglip.npz")).params["text"]["projection"]
    np.testing.assert_array_equal(found["kernel"], np.eye(40))
    np.testing.assert_array_equal(found["bias"], np.zeros(40))


def test_it_is_converted(siglip, folder, tmp_path):
    big_vision_file(siglip, folder / "siglip.npz")
    report = convert(str(folder / "siglip.npz"), tmp_path / "out")
    keys = report["parts"]["clip"]["keys"]
    assert keys["img/MAPHead_0/probe"]["to"] == ("vision/head/probe",)
    assert SIGLIP.config_file in {file.name for file in (tmp_path / "out").iterdir()}


def test_without_a_tokenizer_the_published_one_is_asked_for(siglip, tmp_path):
    big_vision_file(siglip, tmp_path / "siglip.npz")
    with pytest.raises(UserError, match="holds no tokenizer, there is none beside it"):
        load_clip(str(tmp_path / "siglip.npz"))


@pytest.mark.parametrize("source", ["google/siglip-so400m-patch14-384"])
def test_published_sizes(source, tmp_path):
    """From shapes that take no memory, in which only the number of heads is not a file's."""
    config = KNOWN[source]
    shapes = abstract_params(config)
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "asarray", lambda x, **_: x)
        tensors = to_source(BIG_VISION, zeros)
    found = siglip_sizes(tmp_path, tensors)
    assert found.vision == replace(config.vision, heads=1)
    assert found.text == replace(config.text, heads=1)


@pytest.mark.parametrize("source", [name for name in KNOWN if "/siglip" in name])
def test_the_side_of_published_images_is_told_from_their_patches(source):
    vision = KNOWN[source].vision
    assert image_side(vision.patch_size, vision.image_size // vision.patch_size) == (
        vision.image_size
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img/pos_embedding": np.zeros((16, 40))}, "whose sizes can be told from its weights"),
        ({"t": np.zeros(2)}, "does not have the axes of its kind of layer"),
        ({"img/extra": np.zeros(2)}, "img/extra"),
        ({"b": np.array([None])}, "is not an npz file of weights"),
    ],
)
def test_damage_is_refused(siglip, folder, change, message):
    file = folder / "siglip.npz"
    big_vision_file(siglip, file, prefix="")
    np.savez(file, **(dict(np.load(file)) | change))
    with pytest.raises(UserError, match=message):
        load_clip(str(file))


def test_another_npz_is_refused(tmp_path):
    np.savez(tmp_path / "features.npz", features=np.zeros((3, 4)))
    with pytest.raises(UserError, match="is a file, not a model's folder"):
        load_clip(str(tmp_path / "features.npz"))
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="is not an npz file of weights"):
        read_big_vision(tmp_path / "damaged.npz")
