"""Preprocessing files of CLIP of another form, with odd values, or for another kind of model."""

import numpy as np
import pytest
from PIL import Image

from common.clip import Preprocess
from common.clip.hugging_face import preprocess_from_json, preprocess_to_json
from common.clip.open_clip import preprocess_from_json as open_clip_preprocess
from common.clip.preprocess import MEAN, STD
from common.errors import UserError

SIDE = 32
USUAL = Preprocess(SIDE)
SQUARE = {"height": SIDE, "width": SIDE}

ACCEPTED = {
    "an empty file": ({}, USUAL),
    "sizes as numbers": ({"size": SIDE, "crop_size": SIDE}, USUAL),
    "sizes as text": ({"size": "32", "crop_size": "32"}, USUAL),
    "sizes as whole floats": ({"size": 32.0, "crop_size": 32.0}, USUAL),
    "the shortest edge": ({"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}, USUAL),
    "the shortest edge beside nulls": (
        {"size": {"shortest_edge": SIDE, "height": None, "width": None}},
        USUAL,
    ),
    "a crop as a pair": ({"crop_size": [SIDE, SIDE]}, USUAL),
    "null for all": (
        dict.fromkeys(
            [
                *("size", "crop_size", "image_mean", "image_std", "resample", "do_resize"),
                *("do_center_crop", "do_rescale", "rescale_factor", "do_normalize"),
                *("do_convert_rgb", "do_pad", "crop_pct", "image_processor_type"),
            ]
        ),
        USUAL,
    ),
    "truth as numbers": ({"do_normalize": 1, "do_center_crop": 1, "do_resize": 1}, USUAL),
    "a rounded factor": ({"do_rescale": True, "rescale_factor": 0.00392156862745098}, USUAL),
    "bicubic by name": ({"resample": "bicubic"}, USUAL),
    "bicubic by number": ({"resample": 3}, USUAL),
    "one number for three channels": (
        {"image_mean": 0.5, "image_std": 0.25},
        Preprocess(SIDE, (0.5,) * 3, (0.25,) * 3),
    ),
    "whole numbers for means": ({"image_mean": [0, 0, 0]}, Preprocess(SIDE, (0.0,) * 3)),
    "pixels from 0 to 1": ({"do_normalize": False}, Preprocess(SIDE, (0.0,) * 3, (1.0,) * 3)),
    "pixels from 0 to 1 and a mean": (
        {"do_normalize": False, "image_mean": [0.5, 0.5, 0.5]},
        Preprocess(SIDE, (0.0,) * 3, (1.0,) * 3),
    ),
    "a part of a larger picture": ({"size": 40, "crop_size": SIDE}, Preprocess(SIDE, resize=40)),
    "a part of a squeezed picture": (
        {"size": {"height": 40, "width": 36}, "crop_size": SQUARE},
        Preprocess(SIDE, resize=(40, 36)),
    ),
    "a squeezed picture": ({"size": SQUARE}, Preprocess(SIDE, resize=(SIDE, SIDE))),
    "a squeezed picture without a crop": (
        {"size": SQUARE, "do_center_crop": False},
        Preprocess(SIDE, resize=(SIDE, SIDE)),
    ),
    "the older name": ({"feature_extractor_type": "CLIPFeatureExtractor"}, USUAL),
    "what says nothing of pixels": (
        {"processor_class": "CLIPProcessor", "use_fast": True, "_valid_processor_keys": ["size"]},
        USUAL,
    ),
    "names of code": ({"auto_map": {"AutoImageProcessor": "evil.Processor"}}, USUAL),
    "unknown fields that are off": ({"do_tomorrow": False, "tomorrow": None}, USUAL),
}


@pytest.mark.parametrize(("config", "wanted"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_plain(config, wanted):
    found = preprocess_from_json(config, SIDE)
    assert found == wanted
    assert preprocess_from_json(preprocess_to_json(found), SIDE) == found


REFUSED = {
    "no resizing": ({"do_resize": False}, "do_resize=False"),
    "no crop of pictures that are not square": (
        {"do_center_crop": False, "size": SIDE},
        "do_center_crop=False .* pictures of 32 x 32 pixels",
    ),
    "pixels from 0 to 255": ({"do_rescale": False}, "do_rescale=False"),
    "pixels from -1 to 1": ({"rescale_factor": 1 / 127.5}, "rescale_factor=.* is not 1/255"),
    "a factor that is text": ({"rescale_factor": "1/255"}, "rescale_factor='1/255'"),
    "a factor in a list": ({"rescale_factor": [0.1]}, "rescale_factor="),
    "no conversion of colours": ({"do_convert_rgb": False}, "do_convert_rgb=False"),
    "turned channels": ({"do_flip_channel_order": True}, "do_flip_channel_order=True"),
    "filled up": ({"do_pad": True}, "do_pad=True"),
    "nearest": ({"resample": 0}, "resample=0 .* a resampling other than bicubic"),
    "bilinear": ({"resample": 2}, "resample=2 "),
    "a resampling of no name": ({"resample": "sharp"}, "resample='sharp'"),
    "resampling in a list": ({"resample": [3]}, r"resample=\[3\]"),
    "a part by per cent": ({"crop_pct": 0.875}, r"crop_pct=0\.875"),
    "another crop": ({"crop_size": 48}, "crops to 48 pixels; the image tower takes 32"),
    "a crop that is not square": (
        {"crop_size": {"height": 32, "width": 48}},
        "crop_size=.* is not a whole number",
    ),
    "a crop of text": ({"crop_size": "all"}, "crop_size='all'"),
    "a crop of half a pixel": ({"crop_size": 32.5}, r"crop_size=32\.5"),
    "an enormous crop": ({"crop_size": 10**9}, "crop_size=1000000000 .* to 8192"),
    "a size of nothing": ({"size": 0}, "size=0 "),
    "a negative size": ({"size": {"shortest_edge": -1}}, r"size\.shortest_edge=-1"),
    "an enormous size": ({"size": {"shortest_edge": 10**9}}, "to 8192"),
    "a size that is true": ({"size": True}, "size=True"),
    "a size in a list": ({"size": [32, 32]}, r"size=\[32, 32\]"),
    "a size of other edges": ({"size": {"longest_edge": 32}}, "size=.*longest_edge"),
    "two edges of one": (
        {"size": {"shortest_edge": 32, "longest_edge": 64}},
        "size=.*'shortest_edge': ...",
    ),
    "smaller than the crop": ({"size": 16, "crop_size": 32}, "resizes to 16 pixels, of which 32"),
    "a mean of two channels": ({"image_mean": [0.1, 0.2]}, "image_mean=.* a list of 3 numbers"),
    "a mean of text": ({"image_mean": "imagenet"}, "image_mean='imagenet'"),
    "a mean with null": ({"image_mean": [0.1, None, 0.2]}, "image_mean="),
    "a deviation of zero": ({"image_std": [0.2, 0, 0.2]}, "image_std="),
    "a negative deviation": ({"image_std": -1}, "image_std=-1"),
    "another processor": (
        {"image_processor_type": "SiglipImageProcessor"},
        "image_processor_type='SiglipImageProcessor'",
    ),
    "a field of tomorrow": ({"do_sharpen": True}, "do_sharpen=True .* known here"),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_other_pixels(config, message):
    with pytest.raises(UserError, match=message):
        preprocess_from_json(config, SIDE)


OPEN_CLIP = {
    "nothing": ({}, USUAL),
    "all as usual": (
        {
            "size": SIDE,
            "mode": "RGB",
            "mean": list(MEAN),
            "std": list(STD),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "fill_color": 0,
        },
        USUAL,
    ),
    "the size as a pair": ({"size": [SIDE, SIDE]}, USUAL),
    "null for all": (dict.fromkeys(["size", "mode", "mean", "std", "interpolation"]), USUAL),
    "one number": ({"mean": 0.5, "std": 0.5}, Preprocess(SIDE, (0.5,) * 3, (0.5,) * 3)),
    "squeezed": ({"resize_mode": "squash"}, Preprocess(SIDE, resize=(SIDE, SIDE))),
}


@pytest.mark.parametrize(("config", "wanted"), OPEN_CLIP.values(), ids=OPEN_CLIP)
def test_what_is_plain_in_open_clip(config, wanted):
    assert open_clip_preprocess({"preprocess_cfg": config}, SIDE) == wanted


OPEN_CLIP_REFUSED = {
    "resized in a list": ({"resize_mode": ["squash"]}, r"resize_mode=\['squash'\]"),
    "interpolated in a list": ({"interpolation": ["bicubic"]}, "interpolation="),
    "filled up": ({"resize_mode": "longest", "fill_color": 0}, "resize_mode='longest'"),
    "bilinear": ({"interpolation": "bilinear"}, "interpolation='bilinear'"),
    "at random": ({"interpolation": "random"}, "interpolation='random'"),
    "grey": ({"mode": "L"}, "mode='L'"),
    "another size": ({"size": 48}, "size=48 .* the image tower's, 32"),
    "a size that is not square": ({"size": [32, 48]}, r"size=\[32, 48\]"),
    "a mean of four": ({"mean": [0, 0, 0, 0]}, "mean="),
    "a deviation of zero": ({"std": 0}, "std=0"),
    "a field of tomorrow": ({"gamma": 2.2}, r"gamma=2\.2"),
    "a list": ([1], r"preprocess_cfg=\[1\]"),
}


@pytest.mark.parametrize(("config", "message"), OPEN_CLIP_REFUSED.values(), ids=OPEN_CLIP_REFUSED)
def test_what_would_be_other_pixels_in_open_clip(config, message):
    with pytest.raises(UserError, match=message):
        open_clip_preprocess({"preprocess_cfg": config}, SIDE)


def test_names_in_the_cache_stay():
    assert repr(Preprocess(224)) == f"Preprocess(size=224, mean={MEAN}, std={STD})"
    assert repr(Preprocess(224, resize=256)) != repr(Preprocess(224))


def picture(width, height):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def test_a_larger_picture_is_resized_and_then_cropped():
    image = picture(120, 80)
    made = Preprocess(SIDE, (0.0,) * 3, (1.0,) * 3, resize=40)(image)
    wanted = image.resize((60, 40), Image.Resampling.BICUBIC).crop((14, 4, 46, 36))
    np.testing.assert_array_equal(made, np.asarray(wanted, np.float32) / np.float32(255))


@pytest.mark.reference
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"size": {"shortest_edge": 40}},
        {"size": {"height": 40, "width": 36}},
        {"size": SQUARE, "do_center_crop": False},
        {"do_normalize": False},
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(120, 80), (80, 120), (64, 64), (32, 40)])
def test_pixels_equal_transformers(config, shape):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    config = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE} | config
    theirs = CLIPImageProcessorPil(**config)(picture(*shape), return_tensors="np")
    ours = preprocess_from_json(config, SIDE)(picture(*shape))
    np.testing.assert_allclose(ours.transpose(2, 0, 1), theirs["pixel_values"][0], atol=3e-7)
