"""CLIP's preprocessing as Hugging Face's `preprocessor_config.json` describes it."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from common.clip.preprocess import MEAN, STD, Preprocess
from common.errors import UserError
from common.records import Record
from common.sizes import BOUNDS, opened, require, require_known
from common.sizes import size as square

FILE = "preprocessor_config.json"
WHOLE_FILE = "processor_config.json"
"""Holds the same below `image_processor`, where transformers 5 wrote it."""

_BICUBIC = int(Image.Resampling.BICUBIC)
RESCALE = 1 / 255

ALLOWED = {
    "crop_pct": (),
    "do_center_pad": (False,),
    "do_convert_rgb": (True,),
    "do_flip_channel_order": (False,),
    "do_pad": (False,),
    "do_rescale": (True,),
    "do_resize": (True,),
}
"""Fields that may only have these values where they are given, in every family."""

_ALLOWED = {
    **ALLOWED,
    "default_to_square": (False,),
    "feature_extractor_type": ("CLIPFeatureExtractor", "CLIPImageProcessor"),
    "image_processor_type": (
        *("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil"),
        "CLIPFeatureExtractor",
    ),
}
# Fields that are read, or do not affect the pixels.
KNOWN = (
    *_ALLOWED,
    *("size", "crop_size", "do_center_crop", "resample", "rescale_factor"),
    *("do_normalize", "image_mean", "image_std"),
    *("auto_map", "data_format", "device", "disable_grouping", "input_data_format"),
    *("processor_class", "return_tensors", "transformers_version", "use_fast"),
)


def preprocess_from_json(config: Mapping[str, Any] | Record, size: int) -> Preprocess:
    """Read `preprocessor_config.json`.

    Args:
      config: Its content; what it leaves out has CLIP's own values.
      size: The image size that the tower takes.

    Raises:
      UserError: A field asks for what CLIP's preprocessing does not do, or is not known.
    """
    record = opened(config, FILE)
    require(record, _ALLOWED)
    require_known(record, KNOWN)
    if record.content.get("resample") not in (None, _BICUBIC, str(_BICUBIC), "bicubic"):
        record.refuse("resample", f"bicubic ({_BICUBIC}): a resampling other than bicubic")
    require_rescale(record)
    resize = resized(record, size)
    _require_crop(record, resize, size)
    usual = resize == size
    if not record.boolean("do_normalize", default=True):
        return Preprocess(size, (0.0,) * 3, (1.0,) * 3, None if usual else resize)
    mean, std = channels(record, "image_mean", MEAN), channels(record, "image_std", STD, 1e-6)
    return Preprocess(size, mean, std, None if usual else resize)


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what `preprocess_from_json` reads."""
    resize = preprocess.resize or preprocess.size
    square = isinstance(resize, tuple)
    height, width = resize if square else (None, None)
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"height": height, "width": width} if square else {"shortest_edge": resize},
        "resample": _BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": preprocess.size, "width": preprocess.size},
        "do_rescale": True,
        "rescale_factor": RESCALE,
        "do_normalize": True,
        "do_convert_rgb": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
    }


def require_rescale(record: Record) -> None:
    """Refuse pixels that are not scaled to [0, 1].

    Raises:
      UserError: The factor is another one.
    """
    if abs(record.number("rescale_factor", default=RESCALE) / RESCALE - 1) > 1e-6:
        record.refuse("rescale_factor", "1/255")


def channels(
    record: Record, name: str, default: tuple[float, ...], low: float = -1e6
) -> tuple[float, float, float]:
    """Return a number for each of red, green and blue; a single number holds for all three.

    Raises:
      UserError: The field holds something else.
    """
    if isinstance(record.content.get(name), int | float):
        return (record.number(name, low, 1e6),) * 3
    return record.numbers(name, 3, low, 1e6, default=default)


def resized(record: Record, size: int) -> int | tuple[int, int]:
    """Return the length of the shorter side; or height and width, whatever the photo's are."""
    value = record.content.get("size")
    if not isinstance(value, Mapping):
        return record.integer("size", *BOUNDS["image_size"], default=size)
    sides = record.record("size")
    match sorted(name for name, side in value.items() if side is not None):
        case ["shortest_edge"]:
            return sides.integer("shortest_edge", *BOUNDS["image_size"])
        case ["height", "width"]:
            low, high = BOUNDS["image_size"]
            return sides.integer("height", low, high), sides.integer("width", low, high)
    record.refuse("size", "a number, {'shortest_edge': ...} or {'height': ..., 'width': ...}")


def _require_crop(record: Record, resize: int | tuple[int, int], size: int) -> None:
    """Check that the cropped picture has the tower's size."""
    shorter = min(resize) if isinstance(resize, tuple) else resize
    if not record.boolean("do_center_crop", default=True):
        if resize != (size, size):
            record.refuse("do_center_crop", f"true, as pictures of {size} x {size} pixels need")
        return
    crop = square(record, "crop_size", "image_size", size)
    if crop != size:
        raise UserError(f"{record.where} crops to {crop} pixels; the image tower takes {size}.")
    if shorter < size:
        raise UserError(
            f"{record.where} resizes to {shorter} pixels, of which {size} cannot be cropped: "
            f"{record.remedy}."
        )
