"""SigLIP as Hugging Face's `config.json` and `preprocessor_config.json` describe it."""

from collections.abc import Mapping
from typing import Any

from common.clip.config import CLIPConfig, SigLIPViTConfig, TextConfig
from common.clip.hugging_face import FILE, pick, section
from common.clip.preprocess import RESAMPLING, Preprocess
from common.clip.processor import ALLOWED, KNOWN, RESCALE, channels, require_rescale, resized
from common.clip.processor import FILE as PROCESSOR
from common.errors import UserError
from common.records import Record
from common.sizes import opened, require, require_known, size

BOS, EOS, PAD = None, 1, 1
"""Special ids of SigLIP's texts; published configurations hold those of CLIP's."""
HALF = (0.5,) * 3
"""Mean and standard deviation of the pixels."""

# Our field -> Hugging Face's, with the value that it has where a file leaves it out.
_BOTH = {
    "width": ("hidden_size", 768),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "mlp_width": ("intermediate_size", 3072),
    "activation": ("hidden_act", "gelu_pytorch_tanh"),
    "eps": ("layer_norm_eps", 1e-6),
}
_TEXT = {
    "vocab_size": ("vocab_size", 32000),
    "positions": ("max_position_embeddings", 64),
    **_BOTH,
}
_VISION = {"image_size": ("image_size", 224), "patch_size": ("patch_size", 16), **_BOTH}
_PROJECTION = "projection_size"
_SPECIAL = {"bos": "bos_token_id", "eos": "eos_token_id", "pad": "pad_token_id"}
_FLEXIBLE = "siglip2"
"""NaFlex: images of any shape. SigLIP 2's models of a fixed size are of the type "siglip"."""

_PROCESSOR = {
    **ALLOWED,
    "do_center_crop": (False,),
    "image_processor_type": (
        *("SiglipImageProcessor", "SiglipImageProcessorFast", "SiglipImageProcessorPil"),
    ),
}
_RESAMPLE = {int(RESAMPLING[name]): name for name in RESAMPLING}


def is_siglip(content: Mapping[str, Any]) -> bool:
    """Return whether a `config.json` describes one."""
    return content.get("model_type") in ("siglip", _FLEXIBLE)


def siglip_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Return the configuration of a `SiglipModel`.

    Raises:
      UserError: A value is not one of its kind, or asks for what these towers do not have.
    """
    record = opened(config, FILE)
    if record.content.get("model_type") == _FLEXIBLE:
        raise UserError(
            f"{record.where} describes a NaFlex model, whose images have any shape: give a SigLIP "
            "2 of a fixed size, such as google/siglip2-base-patch16-256."
        )
    text, vision = section(record, "text_config", _TEXT), section(record, "vision_config", _VISION)
    require(text, {"model_type": ("siglip_text_model",)})
    require(vision, {"model_type": ("siglip_vision_model",), "vision_use_head": (True,)})
    words, patches = pick(text, _TEXT), pick(vision, _VISION)
    if patches["patch_size"] > patches["image_size"]:
        vision.refuse("patch_size", f"a part of {patches['image_size']} pixels")
    projection = size(text, _PROJECTION, "width", words["width"])
    if projection != patches["width"]:
        text.refuse(_PROJECTION, f"the image tower's width, {patches['width']}")
    return siglip_config(words, patches)


def siglip_config(text: Mapping[str, Any], vision: Mapping[str, Any]) -> CLIPConfig:
    """Return the configuration of towers of these sizes, by the names of `TextConfig`'s fields."""
    width = vision["width"]
    usual = {"activation": SigLIPViTConfig.activation, "eps": SigLIPViTConfig.eps}
    special = {"bos": BOS, "eos": EOS, "pad": PAD, "pool": "last", "causal": False}
    return CLIPConfig(
        TextConfig(**{**usual, **special, **text}, projection=width, projection_bias=True),
        SigLIPViTConfig(**{**usual, **vision}, projection=width),
    )


def siglip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `siglip_from_json` reads."""
    text = {key: getattr(config.text, field) for field, (key, _) in _TEXT.items()}
    special = {key: getattr(config.text, field) for field, key in _SPECIAL.items()}
    vision = {key: getattr(config.vision, field) for field, (key, _) in _VISION.items()}
    projection = {_PROJECTION: config.text.projection}
    return {
        "architectures": ["SiglipModel"],
        "model_type": "siglip",
        "text_config": {"model_type": "siglip_text_model", **text, **special, **projection},
        "vision_config": {"model_type": "siglip_vision_model", **vision},
    }


def preprocess_from_json(config: Mapping[str, Any] | Record, image_size: int) -> Preprocess:
    """Read `preprocessor_config.json`; what it leaves out has SigLIP's own values.

    Raises:
      UserError: A field asks for what SigLIP's preprocessing does not do, or is not known.
    """
    record = opened(config, PROCESSOR)
    require(record, _PROCESSOR)
    require_known(record, (*KNOWN, *_PROCESSOR))
    resample = record.integer("resample", default=int(RESAMPLING["bicubic"]))
    if resample not in _RESAMPLE:
        record.refuse("resample", " or ".join(f"{key} ({x})" for key, x in _RESAMPLE.items()))
    require_rescale(record)
    square = (image_size, image_size)
    if record.content.get("size") is not None and resized(record, image_size) != square:
        record.refuse("size", f"the image tower's, {image_size} x {image_size} pixels")
    mean, std = channels(record, "image_mean", HALF), channels(record, "image_std", HALF, 1e-6)
    if not record.boolean("do_normalize", default=True):
        mean, std = (0.0,) * 3, (1.0,) * 3
    return Preprocess(image_size, mean, std, square, _RESAMPLE[resample])


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Return what `preprocess_from_json` reads."""
    return {
        "image_processor_type": "SiglipImageProcessor",
        "do_resize": True,
        "size": {"height": preprocess.size, "width": preprocess.size},
        "resample": int(RESAMPLING[preprocess.resample]),
        "do_rescale": True,
        "rescale_factor": RESCALE,
        "do_normalize": True,
        "do_convert_rgb": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
    }
