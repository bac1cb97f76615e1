"""MetaCLIP 2 as Hugging Face's `config.json` describes it: CLIP's towers with other words."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.clip import hugging_face
from common.clip.config import CLIPConfig, MetaCLIP2TextConfig, TextConfig
from common.clip.hugging_face import FILE
from common.clip.metaclip2_tokenizer import BOS, EOS, PAD
from common.records import Record
from common.sizes import opened, require

_KIND = "metaclip_2"
# What each part of a file calls its kind, and CLIP's files call it.
_PARTS = {"text_config": "text_model", "vision_config": "vision_model"}


def is_metaclip2(content: Mapping[str, Any]) -> bool:
    """Return whether a `config.json` describes one."""
    return content.get("model_type") == _KIND


def metaclip2_from_json(config: Mapping[str, Any] | Record) -> CLIPConfig:
    """Return the configuration of a `MetaClip2Model`.

    Raises:
      UserError: A value is not one of its kind, or asks for what these towers do not have.
    """
    record = opened(config, FILE)
    content: dict[str, Any] = {**record.content, "model_type": "clip"}
    for name, part in _PARTS.items():
        section = record.record(name, default={})
        require(section, {"model_type": (f"{_KIND}_{part}",)})
        content[name] = {**section.content, "model_type": f"clip_{part}"}
    # mT5's words, which a few of these models read, end in another token.
    require(record.record("text_config", default={}), {"eos_token_id": (EOS,)})
    # CLIP's files from before 2023 have this very id by mistake.
    content["text_config"]["eos_token_id"] = EOS + 1
    clip = hugging_face.clip_from_json(replace(record, content=content))
    return metaclip2_config(clip)


def metaclip2_config(clip: CLIPConfig) -> CLIPConfig:
    """Return the configuration of a MetaCLIP 2 with the sizes of a CLIP."""
    special = {"bos": BOS, "eos": EOS, "pad": PAD, "pool": "eos"}
    return replace(clip, text=MetaCLIP2TextConfig(**{**vars(clip.text), **special}))


def metaclip2_to_json(config: CLIPConfig) -> dict[str, Any]:
    """Return what `metaclip2_from_json` reads."""
    content = hugging_face.clip_to_json(replace(config, text=TextConfig(**vars(config.text))))
    content |= {"architectures": ["MetaClip2Model"], "model_type": _KIND}
    for name, part in _PARTS.items():
        content[name] |= {"model_type": f"{_KIND}_{part}"}
    return content
