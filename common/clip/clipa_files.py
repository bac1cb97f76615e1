"""CLIPA as `open_clip_config.json` describes it: CLIP's towers with another head and tokenizer."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from common.clip import open_clip
from common.clip.config import CLIPAViTConfig, CLIPConfig, TextConfig, ViTConfig
from common.clip.open_clip import FILE
from common.clip.preprocess import RESAMPLING, Preprocess
from common.records import Record
from common.sizes import opened

BOS, PAD = 101, 0
"""Ids of BERT's `[CLS]`, which begins a text, and `[PAD]`, which ends it and fills it up."""

# What each section of CLIPA's files says beside the sizes, and CLIP's does not.
_VISION = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
_WORDS = {"tokenizer_kwargs": {"strip_sep_token": True}}
_TEXT = {**_WORDS, "pool_type": "last", "no_causal_mask": True}
# BERT's, under its own name or that of a model with its files beside it.
_TOKENIZER = {"hf_tokenizer_name": "bert-base-uncased"}


def is_clipa(content: Mapping[str, Any]) -> bool:
    """Return whether an `open_clip_config.json` describes one: it strips BERT's `[SEP]`."""
    model = content.get("model_cfg")
    text = model.get("text_cfg") if isinstance(model, Mapping) else None
    return isinstance(text, Mapping) and _WORDS.items() <= text.items()


def clipa_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Read the `model_cfg` of a CLIPA.

    Raises:
      UserError: An entry is missing, has a value that is not one of its kind, or is not CLIPA's.
    """
    record = opened(config, FILE)
    model = record.record("model_cfg")
    vision, text = model.record("vision_cfg"), model.record("text_cfg")
    text.text("hf_tokenizer_name", longest=1000)
    sections = {"vision_cfg": _without(vision, _VISION), "text_cfg": _without(text, _TEXT)}
    rest = {**record.content, "model_cfg": {**model.content, **sections}}
    clip = open_clip.clip_from_json(replace(record, content=rest))
    if not isinstance(clip.vision, ViTConfig):
        vision.refuse("layers", "a whole number, as of a vision transformer")
    return clipa_config(clip.text, clip.vision)


def clipa_config(text: TextConfig, vision: ViTConfig) -> CLIPConfig:
    """Return the configuration of a CLIPA with the sizes of CLIP's towers."""
    return CLIPConfig(
        replace(text, bos=BOS, eos=PAD, pad=PAD, pool="last", causal=False),
        CLIPAViTConfig(**vars(vision)),
    )


def clipa_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `clipa_from_json` reads."""
    sizes = {field.name: getattr(config.vision, field.name) for field in fields(ViTConfig)}
    clip = CLIPConfig(replace(config.text, causal=True), ViTConfig(**sizes))
    model = open_clip.clip_to_json(clip)["model_cfg"]
    vision, text = model["vision_cfg"] | _VISION, model["text_cfg"] | _TEXT | _TOKENIZER
    return {"model_cfg": model | {"vision_cfg": vision, "text_cfg": text}}


def preprocess_from_json(config: Mapping[str, Any] | Record, image_size: int) -> Preprocess:
    """Read the `preprocess_cfg`; see `open_clip.preprocess_from_json`."""
    return open_clip.preprocess_from_json(config, image_size, tuple(RESAMPLING))


def _without(section: Record, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section without what makes it CLIPA's.

    Raises:
      UserError: It has another value for that, or none.
    """
    for name, value in usual.items():
        if section.content.get(name) != value:
            section.refuse(name, f"{value!r}, as in CLIPA's files")
    read = {*usual, *_TOKENIZER}
    return {name: value for name, value in section.content.items() if name not in read}
