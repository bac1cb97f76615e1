"""Configurations as Hugging Face's `config.json` and `preprocessor_config.json` hold them."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from common.clip.config import CLIPConfig, TextConfig, ViTConfig
from common.clip.layers import ACTIVATIONS
from common.clip.preprocess import MEAN, STD, Preprocess
from common.errors import UserError

# Our field -> Hugging Face's, with the value that it has where a file leaves it out.
_TEXT = {
    "vocab_size": ("vocab_size", 49408),
    "width": ("hidden_size", 512),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 8),
    "mlp_width": ("intermediate_size", 2048),
    "positions": ("max_position_embeddings", 77),
    "activation": ("hidden_act", "quick_gelu"),
    "eps": ("layer_norm_eps", 1e-5),
    "bos": ("bos_token_id", 49406),
    "eos": ("eos_token_id", 49407),
    "pad": ("pad_token_id", 1),
}
_VISION = {
    "image_size": ("image_size", 224),
    "patch_size": ("patch_size", 32),
    "width": ("hidden_size", 768),
    "layers": ("num_hidden_layers", 12),
    "heads": ("num_attention_heads", 12),
    "mlp_width": ("intermediate_size", 3072),
    "activation": ("hidden_act", "quick_gelu"),
    "eps": ("layer_norm_eps", 1e-5),
}
_PROJECTION = ("projection_dim", 512)
# Configurations from before transformers 4.31 carry this wrong id; the library then pools at
# the largest id of the sequence (transformers pull request 24773).
_LEGACY_EOS = 2
_BICUBIC = int(Image.Resampling.BICUBIC)


def text_from_json(config: Mapping[str, Any], projection: int | None = None) -> TextConfig:
    """A text tower's configuration, e.g. of Stable Diffusion's `text_encoder/config.json`.

    A configuration with the legacy end token pools at the argmax. Its other special ids are
    wrong too; start and end become the last two of the vocabulary, which they are in CLIP's.

    Raises:
      UserError: The activation is none of CLIP's.
    """
    fields = _pick(config, _TEXT)
    if fields["eos"] != _LEGACY_EOS:
        return TextConfig(**fields, projection=projection)
    eos = fields["vocab_size"] - 1
    fields |= {"bos": eos - 1, "eos": eos, "pad": eos, "pool": "argmax"}
    return TextConfig(**fields, projection=projection)


def text_to_json(config: TextConfig) -> dict[str, Any]:
    """Inverse of `text_from_json`."""
    return {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        **_text_fields(config),
    }


def clip_from_json(config: Mapping[str, Any]) -> CLIPConfig:
    """The configuration of a `CLIPModel`.

    Raises:
      UserError: It describes another kind of model.
    """
    if config.get("model_type") != "clip":
        raise UserError(
            f"config.json describes a {config.get('model_type')!r} model, not a 'clip' one."
        )
    name, default = _PROJECTION
    projection = config.get(name, default)
    text = _section(config, "text_config", _TEXT)
    vision = _section(config, "vision_config", _VISION)
    return CLIPConfig(
        text_from_json(text, projection),
        ViTConfig(**_pick(vision, _VISION), projection=projection),
    )


def clip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Inverse of `clip_from_json`."""
    vision = {theirs: getattr(config.vision, ours) for ours, (theirs, _) in _VISION.items()}
    projection = {_PROJECTION[0]: config.vision.projection}
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        **projection,
        "text_config": {"model_type": "clip_text_model", **_text_fields(config.text)},
        "vision_config": {"model_type": "clip_vision_model", **vision, **projection},
    }


def preprocess_from_json(config: Mapping[str, Any], size: int) -> Preprocess:
    """Reads `preprocessor_config.json`.

    Args:
      config: Its content; what it leaves out has CLIP's own values.
      size: The image size that the tower takes.

    Raises:
      UserError: It asks for another size or another resampling.
    """
    crop = config.get("crop_size", size)
    crop = crop.get("height") if isinstance(crop, Mapping) else crop
    if crop != size:
        raise UserError(
            f"preprocessor_config.json crops to {crop} pixels; the image tower takes {size}."
        )
    if config.get("resample", _BICUBIC) != _BICUBIC:
        raise UserError("preprocessor_config.json asks for a resampling other than bicubic.")
    mean, std = config.get("image_mean", MEAN), config.get("image_std", STD)
    return Preprocess(size, tuple(mean), tuple(std))


def preprocess_to_json(preprocess: Preprocess) -> dict[str, Any]:
    """Inverse of `preprocess_from_json`."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": preprocess.size},
        "resample": _BICUBIC,
        "do_center_crop": True,
        "crop_size": {"height": preprocess.size, "width": preprocess.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "do_convert_rgb": True,
        "image_mean": list(preprocess.mean),
        "image_std": list(preprocess.std),
    }


def _text_fields(config: TextConfig) -> dict[str, Any]:
    fields = {theirs: getattr(config, ours) for ours, (theirs, _) in _TEXT.items()}
    if config.pool == "argmax":
        fields["eos_token_id"] = _LEGACY_EOS
    if config.projection is not None:
        fields[_PROJECTION[0]] = config.projection
    return fields


def _section(config: Mapping[str, Any], name: str, table: Mapping[str, tuple]) -> dict[str, Any]:
    """A tower's section; an old `{name}_dict`, completed by the defaults, overrides it."""
    section = dict(config.get(name) or {})
    if overrides := config.get(f"{name}_dict"):
        section |= dict(table.values()) | overrides
    return section


def _pick(config: Mapping[str, Any], table: Mapping[str, tuple]) -> dict[str, Any]:
    fields = {ours: config.get(theirs, default) for ours, (theirs, default) in table.items()}
    if fields["activation"] not in ACTIVATIONS:
        raise UserError(
            f"config.json asks for the activation {fields['activation']!r}; CLIP's are "
            f"{', '.join(ACTIVATIONS)}."
        )
    return fields
