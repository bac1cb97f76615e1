"""Configurations as Hugging Face's `config.json` holds them."""

from collections.abc import Mapping
from typing import Any

from common.clip.config import CLIPConfig, TextConfig, ViTConfig
from common.clip.layers import ACTIVATIONS
from common.clip.processor import preprocess_from_json as preprocess_from_json
from common.clip.processor import preprocess_to_json as preprocess_to_json
from common.clip.text import require_causal
from common.errors import UserError
from common.records import Record
from common.sizes import opened, require, size
from common.text import quoted

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
FILE = "config.json"

# Fields that may only have these values, where they are given; in each part of the file. What is
# in neither table concerns training or generation, not the towers.
_ALLOWED = {
    "add_cross_attention": (False,),
    "attention_bias": (True,),
    "chunk_size_feed_forward": (0,),
    "cross_attention_hidden_size": (),
    "is_decoder": (False,),
    "is_encoder_decoder": (False,),
    "num_channels": (3,),
    "num_key_value_heads": (),
    "position_embedding_type": ("absolute",),
    "pruned_heads": ({},),
    "quantization_config": (),
    # diffusers hides padding from a text encoder that says so.
    "use_attention_mask": (False,),
}
_TEXT_KINDS = ("clip_text_model", "clip_text_model_with_projection")
_VISION_KINDS = ("clip_vision_model", "clip_vision_model_with_projection")
_IDS = ("bos", "eos", "pad")


def text_from_json(config: Mapping[str, Any] | Record, projection: int | None = None) -> TextConfig:
    """Return a text tower's configuration, such as Stable Diffusion's `text_encoder/config.json`.

    A configuration with the legacy end token pools at the argmax. Its other special ids are
    wrong too; start and end become the last two of the vocabulary, which they are in CLIP's.

    Raises:
      UserError: A value is not one of its kind, or asks for what CLIP's tower does not have.
    """
    record = opened(config, FILE)
    require(record, {"model_type": _TEXT_KINDS})
    fields = pick(record, _TEXT)
    if fields["eos"] != _LEGACY_EOS:
        return TextConfig(**fields, projection=projection)
    eos = fields["vocab_size"] - 1
    fields |= {"bos": eos - 1, "eos": eos, "pad": eos, "pool": "argmax"}
    return TextConfig(**fields, projection=projection)


def projected_text_from_json(config: Mapping[str, Any] | Record) -> TextConfig:
    """Return the configuration of a text tower with a projection, such as XL's `text_encoder_2/`.

    Raises:
      UserError: See `text_from_json`.
    """
    record = opened(config, FILE)
    name, default = _PROJECTION
    return text_from_json(record, size(record, name, "width", default))


def text_to_json(config: TextConfig) -> dict[str, Any]:
    """Return what `text_from_json`, or with a projection `projected_text_from_json`, reads."""
    plain = config.projection is None
    return {
        "architectures": ["CLIPTextModel" if plain else "CLIPTextModelWithProjection"],
        "model_type": "clip_text_model",
        **_text_fields(config),
    }


def clip_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Return the configuration of a `CLIPModel`.

    Raises:
      UserError: It describes another kind of model, or a value is not one of its kind.
    """
    record = opened(config, FILE)
    if (kind := record.content.get("model_type")) != "clip":
        raise UserError(f"{record.where} describes a {quoted(kind, 30)} model, not a 'clip' one.")
    require(record, _ALLOWED)
    name, default = _PROJECTION
    projection = size(record, name, "width", default)
    vision = section(record, "vision_config", _VISION)
    require(vision, {"model_type": _VISION_KINDS})
    fields = pick(vision, _VISION)
    if fields["patch_size"] > fields["image_size"]:
        vision.refuse("patch_size", f"a part of {fields['image_size']} pixels")
    return CLIPConfig(
        text_from_json(section(record, "text_config", _TEXT), projection),
        ViTConfig(**fields, projection=projection),
    )


def clip_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `clip_from_json` reads."""
    vision = {key: getattr(config.vision, field) for field, (key, _) in _VISION.items()}
    projection = {_PROJECTION[0]: config.vision.projection}
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        **projection,
        "text_config": {"model_type": "clip_text_model", **_text_fields(config.text)},
        "vision_config": {"model_type": "clip_vision_model", **vision, **projection},
    }


def _text_fields(config: TextConfig) -> dict[str, Any]:
    require_causal(config, "Hugging Face's layout of CLIP")
    fields = {key: getattr(config, field) for field, (key, _) in _TEXT.items()}
    if config.pool == "argmax":
        fields["eos_token_id"] = _LEGACY_EOS
    if config.projection is not None:
        fields[_PROJECTION[0]] = config.projection
    return fields


def section(record: Record, name: str, table: Mapping[str, tuple]) -> Record:
    """Return a tower's section; an old `{name}_dict`, completed by the defaults, overrides it."""
    section, overrides = record.record(name, default={}), record.record(f"{name}_dict", default={})
    if not overrides.content:
        return section
    usual = dict(table.values())
    content = {**section.content, **usual, **overrides.content}
    return Record(content, record.where, record.remedy, overrides.place)


def pick(record: Record, table: Mapping[str, tuple]) -> dict[str, Any]:
    """Return a tower's fields under our names."""
    require(record, _ALLOWED)
    fields: dict[str, Any] = {}
    for field, (key, default) in table.items():
        if field == "activation":
            fields[field] = record.text(key, tuple(ACTIVATIONS), default=default)
        elif field == "eps":
            fields[field] = record.number(key, 0, 1, default=default)
        else:
            fields[field] = size(record, key, "token" if field in _IDS else field, default)
    if fields["width"] % fields["heads"]:
        record.refuse(table["heads"][0], f"a divisor of the width {fields['width']}")
    return fields
