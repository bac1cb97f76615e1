"""Published CLIPs by their sizes, against their published numbers of parameters."""

import functools
import math

import jax
import jax.numpy as jnp
import pytest

from common.clip import known, load_clip, save_clip
from common.clip.known import KNOWN, describe_clip
from common.data.templates import TEMPLATES
from common.errors import UserError

_MORE_WORDS = 901_629 - 49_408  # MetaCLIP 2's towers are those of LAION's, DFN's H-14-378 and bigG.

PARAMETERS = {
    "openai/clip-vit-base-patch32": 151_277_313,
    "openai/clip-vit-base-patch16": 149_620_737,
    "openai/clip-vit-large-patch14": 427_616_513,
    "openai/clip-vit-large-patch14-336": 427_944_193,
    # Published: 290,979,217, without the statistics of the batch norms.
    "timm/resnet50x16_clip.openai": 290_979_217 + 193_920,
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K": 986_109_441,
    "google/siglip-base-patch16-224": 203_155_970,
    "google/siglip-base-patch16-256": 203_202_050,
    "google/siglip-base-patch16-384": 203_447_810,
    "google/siglip-base-patch16-512": 203_791_874,
    "google/siglip-base-patch16-256-multilingual": 370_626_050,
    "google/siglip-large-patch16-256": 652_150_786,
    "google/siglip-large-patch16-384": 652_478_466,
    "google/siglip-so400m-patch14-224": 877_360_306,
    "google/siglip-so400m-patch14-384": 877_960_498,
    "google/siglip-so400m-patch16-256-i18n": 1_128_758_962,
    "google/siglip2-base-patch32-256": 376_856_066,
    "google/siglip2-base-patch16-224": 375_187_970,
    "google/siglip2-base-patch16-256": 375_234_050,
    "google/siglip2-base-patch16-384": 375_479_810,
    "google/siglip2-base-patch16-512": 375_823_874,
    "google/siglip2-large-patch16-256": 881_526_786,
    "google/siglip2-large-patch16-384": 881_854_466,
    "google/siglip2-large-patch16-512": 882_313_218,
    "google/siglip2-so400m-patch14-224": 1_135_463_602,
    "google/siglip2-so400m-patch14-384": 1_136_008_498,
    "google/siglip2-so400m-patch16-256": 1_135_670_962,
    "google/siglip2-so400m-patch16-384": 1_136_039_602,
    "google/siglip2-so400m-patch16-512": 1_136_555_698,
    "google/siglip2-giant-opt-patch16-256": 1_871_393_906,
    "google/siglip2-giant-opt-patch16-384": 1_871_885_426,
    "facebook/metaclip-2-worldwide-huge-quickgelu": 986_109_441 + 1024 * _MORE_WORDS,
    "facebook/metaclip-2-worldwide-huge-378": 986_714_881 + 1024 * _MORE_WORDS,
    "facebook/metaclip-2-worldwide-giant": 2_539_567_105 + 1280 * _MORE_WORDS,
    "facebook/metaclip-2-worldwide-giant-378": 2_539_567_105
    + 1280 * _MORE_WORDS
    + 1664 * (27**2 - 16**2),
}

# By a part of their names, of those that open_clip's own modules were counted for.
SIZES = {
    "B-32-256x256": 151_288_833,
    "base_patch16_plus_clip_240": 208_377_345,
    "B-32": 151_277_313,
    "base_patch32": 151_277_313,
    "metaclip-b32": 151_277_313,
    "B-16": 149_620_737,
    "base_patch16": 149_620_737,
    "metaclip-b16": 149_620_737,
    "ViT-L-14-CLIPA-336": 414_538_241,
    "ViT-L-14-CLIPA": 414_210_561,
    "ViT-H-14-CLIPA-336": 968_644_609,
    "ViT-H-14-CLIPA": 968_235_009,
    "ViT-bigG-14-CLIPA-336": 2_517_756_417,
    "ViT-bigG-14-CLIPA": 2_517_223_937,
    "L-14": 427_616_513,
    "large_patch14": 427_616_513,
    "metaclip-l14": 427_616_513,
    "H-14-378": 986_714_881,
    "H-14": 986_109_441,
    "huge_patch14": 986_109_441,
    "metaclip-h14": 986_109_441,
    "ViT-g-14": 1_366_678_273,
    "bigG-14": 2_539_567_105,
    "gigantic_patch14": 2_539_567_105,
    # With the statistics of the batch norms.
    "resnet50_clip": 102_007_137 + 53_248,
    "resnet101_clip": 119_688_033 + 105_472,
    "resnet50x4_clip": 178_300_601 + 109_760,
    "resnet50x64_clip": 623_258_305 + 410_624,
}


def parameters(source):
    """What is published of a model, or of another one of its sizes."""
    return PARAMETERS.get(source) or next(SIZES[name] for name in SIZES if name in source)


@pytest.fixture(scope="module")
def each_size_once():
    """Many published models are of the same sizes, whose shapes take a second to find."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "abstract_params", functools.cache(known.abstract_params))
        yield


@pytest.mark.usefixtures("each_size_once")
@pytest.mark.parametrize("source", KNOWN)
def test_published_sizes(source):
    clip = describe_clip(source, jnp.bfloat16)
    leaves = jax.tree.leaves(clip.params)
    assert sum(math.prod(leaf.shape) for leaf in leaves) == parameters(source)
    assert {leaf.dtype for leaf in leaves} == {jnp.dtype(jnp.bfloat16)}
    assert clip.config.text.projection == clip.config.vision.projection


def test_the_stand_in_tokenizer_counts_as_clips():
    """Positions of the end token under CLIP's own vocabulary: its "close-up" is three tokens."""
    tokenizer = describe_clip("openai/clip-vit-base-patch32").tokenizer
    texts = [text.format("flower") for text in TEMPLATES["textual_inversion"]]
    ends = (tokenizer(texts) == tokenizer.eos).argmax(axis=1)
    assert sorted(ends) == [6] * 8 + [7] * 17 + [9] * 2
    assert len(tokenizer.encode("It's 42!")) == 6
    with pytest.raises(UserError, match="80 tokens, 75 fit"):
        tokenizer(["x " * 80])


def test_a_directory_is_described_as_it_is_loaded(clip, tmp_path):
    save_clip(clip, tmp_path)
    loaded = load_clip(str(tmp_path))
    for weights in tmp_path.glob("*.safetensors"):
        weights.unlink()
    described = describe_clip(str(tmp_path))
    assert described.config.vision == loaded.config.vision
    assert described.tokenizer.encode("a cat") == loaded.tokenizer.encode("a cat")
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), loaded.params)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), described.params) == shapes


def test_an_unknown_model():
    with pytest.raises(UserError, match=r"'some/clip' are not known .* openai/clip-vit-base"):
        describe_clip("some/clip")
