"""Images of another size against transformers, which interpolates, and open_clip's own rule."""

import json

import jax
import numpy as np
import pytest

from common.clip import encode_image, load_clip, save_clip
from common.clip.families import find_family
from tests.clip.conftest import MERGES, vocabulary_writer
from tests.clip.published import PUBLISHED, word_pieces, write_word_pieces
from tests.clip.siglip_models import write_tokenizer
from tests.compare import relative_error

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.reference

TOLERANCE = 1e-5
SIZES = (14, 42, 56, 60)  # of patches of 14, and weights for 28
VISION = {
    "image_size": 28,
    "patch_size": 14,
    "hidden_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 96,
}


def features(clip, pixels):
    return jax.jit(encode_image, static_argnums=0)(clip.image_tower, clip.params["vision"], pixels)


def pixels_of(size):
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)


def clip_of_transformers(folder, tokenizer):
    text = {"vocab_size": tokenizer.vocab_size, "hidden_size": 40, "num_attention_heads": 5}
    config = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    vocabulary_writer(folder, MERGES)
    return transformers.CLIPModel(config)


def siglip_of_transformers(folder, tokenizer):
    del tokenizer
    text = {"vocab_size": 400, "hidden_size": 40, "num_attention_heads": 5, "projection_size": 40}
    write_tokenizer(folder, "siglip")
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config=text, vision_config=VISION)
    )


def projected(features):
    return features if torch.is_tensor(features) else features.pooler_output


@pytest.mark.parametrize("build", [clip_of_transformers, siglip_of_transformers])
def test_transformers(build, oracle, tokenizer, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    torch.manual_seed(0)
    theirs = build(folder, tokenizer).eval().requires_grad_(False)
    oracle.randomise(theirs, 0.1)
    theirs.save_pretrained(folder)
    for size in SIZES:
        given = pixels_of(size)
        x = torch.tensor(given).permute(0, 3, 1, 2)
        wanted = projected(theirs.get_image_features(x, interpolate_pos_encoding=True))
        clip = load_clip(str(folder), image_size=size)
        assert relative_error(features(clip, given), wanted) <= TOLERANCE
        save_clip(clip, tmp_path / str(size))
        again = type(theirs).from_pretrained(tmp_path / str(size)).eval()
        assert relative_error(features(clip, given), projected(again.get_image_features(x))) <= (
            TOLERANCE
        )


def resize_pos_embed(weights, side):
    """open_clip's own, on the state of a model."""
    table = weights["visual.positional_embedding"]
    token, grid = table[:1], table[1:]
    old = round(len(grid) ** 0.5)
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    options = {"mode": "bicubic", "antialias": True, "align_corners": False}
    grid = torch.nn.functional.interpolate(grid, size=(side, side), **options)
    grid = grid.permute(0, 2, 3, 1).reshape(side**2, -1)
    return weights | {"visual.positional_embedding": torch.cat([token, grid])}


@pytest.mark.parametrize("name", ["DFN5B ViT-H-378", "CLIPA ViT-H"])
def test_open_clip(name, oracle, tokenizer, tmp_path):
    content = json.loads(json.dumps(PUBLISHED[name]))
    words = content["model_cfg"]["text_cfg"]
    clipa = "hf_tokenizer_name" in words
    words["vocab_size"] = len(word_pieces()) if clipa else tokenizer.vocab_size
    _ = write_word_pieces(tmp_path) if clipa else vocabulary_writer(tmp_path, MERGES)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(content))
    torch.manual_seed(0)
    read = find_family(tmp_path).read_config
    theirs = oracle.OpenClip(read(content), 0.1)
    torch.save(theirs.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    for size in SIZES:
        content["model_cfg"]["vision_cfg"]["image_size"] = size
        larger = oracle.OpenClip(read(content))
        larger.load_state_dict(resize_pos_embed(theirs.state_dict(), size // 14))
        given = pixels_of(size)
        wanted = larger.visual(torch.tensor(given).permute(0, 3, 1, 2))["features"]
        clip = load_clip(str(tmp_path), image_size=size)
        assert clip.preprocess.resize == (size, size)
        assert relative_error(features(clip, given), wanted) <= TOLERANCE
