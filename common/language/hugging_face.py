"""GPT-2's and GPT-J's configurations as Hugging Face's `config.json` holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from common.errors import UserError
from common.language.config import LMConfig
from common.language.layers import ACTIVATIONS
from common.records import Record
from common.sizes import opened, require, size
from common.text import quoted
from common.weights.language import GPT2, GPT2_IGNORE, GPTJ, GPTJ_IGNORE
from common.weights.table import Table

# Our field -> Hugging Face's, which are the same for both kinds.
_SIZES = {
    "vocab_size": "vocab_size",
    "width": "n_embd",
    "layers": "n_layer",
    "heads": "n_head",
    "mlp_width": "n_inner",
    "positions": "n_positions",
    "eos": "eos_token_id",
}
# What other models call the same; transformers reads these as well.
_USUAL_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
_ACTIVATION, _EPS = "activation_function", "layer_norm_epsilon"
_FIELDS = {**_SIZES, "activation": _ACTIVATION, "eps": _EPS}
# Fields that may only have these values, in both kinds. What is in no table says how to train, to
# generate or to round.
_ALLOWED = {
    "add_cross_attention": (False,),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "quantization_config": (),
    "rope_scaling": (),
}


@dataclass(frozen=True)
class LMFamily:
    """One published family of language models.

    Attributes:
      architecture: The class of transformers that reads it.
      defaults: What a file leaves out.
      form: Our fields that make the family.
      allowed: Fields of the file that may only have these values, where they are given.
      table: The conversion table.
      ignore: Keys that carry no weights.
    """

    architecture: str
    defaults: Mapping[str, Any]
    form: Mapping[str, Any]
    allowed: Mapping[str, tuple]
    table: Table
    ignore: Sequence[str]


_DEFAULTS = {"eos_token_id": 50256}

FAMILIES: dict[str, LMFamily] = {
    "gpt2": LMFamily(
        "GPT2LMHeadModel",
        _DEFAULTS
        | {"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024},
        {},
        {
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "tie_word_embeddings": (True,),
        },
        GPT2,
        GPT2_IGNORE,
    ),
    "gptj": LMFamily(
        "GPTJForCausalLM",
        _DEFAULTS
        | {"vocab_size": 50400, "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048},
        {"parallel": True, "attention_bias": False, "tied": False},
        {"rotary": (True,), "tie_word_embeddings": (False,)},
        GPTJ,
        GPTJ_IGNORE,
    ),
}


def family_of(config: LMConfig) -> str:
    """Return the key of `FAMILIES` that a configuration belongs to."""
    return "gptj" if config.rotary else "gpt2"


def lm_from_json(written: Mapping[str, Any] | Record) -> LMConfig:
    """Read `config.json`.

    Raises:
      UserError: It describes another kind of model or a variant that is not supported, or a
        value is not one of its kind.
    """
    record = _under_own_names(opened(written, "config.json"))
    name = record.content.get("model_type")
    if not isinstance(name, str) or name not in FAMILIES:
        raise UserError(
            f"{record.where} describes a {quoted(name, 30)} model; the language models that can be "
            f"read are {', '.join(FAMILIES)}."
        )
    family = FAMILIES[name]
    require(record, {**_ALLOWED, **family.allowed})
    fields = {
        field: size(record, key, "token" if field == "eos" else field, family.defaults.get(key))
        for field, key in _SIZES.items()
    }
    fields["mlp_width"] = fields["mlp_width"] or 4 * fields["width"]
    fields["activation"] = record.text(_ACTIVATION, tuple(ACTIVATIONS), default="gelu_new")
    fields["eps"] = record.number(_EPS, 0, 1, default=1e-5)
    config = LMConfig(**fields, **family.form, rotary=_rotary(record) if name == "gptj" else 0)
    _require_consistent(config, record)
    return config


def _under_own_names(record: Record) -> Record:
    content = dict(record.content)
    for usual, own in _USUAL_NAMES.items():
        value = content.get(usual)
        if content.get(own) is None:
            content[own] = value
        elif value not in (None, content[own]):
            record.refuse(usual, f"{own}, {content[own]}")
    return replace(record, content=content)


def _rotary(record: Record) -> int:
    """Return how many channels of a head GPT-J rotates; null would mean all of its width."""
    if "rotary_dim" in record.content and record.content["rotary_dim"] is None:
        record.refuse("rotary_dim", "a whole number")
    return size(record, "rotary_dim", "rotary", 64)


def _require_consistent(config: LMConfig, record: Record) -> None:
    if config.width % config.heads:
        record.refuse("n_head", f"a divisor of the width {config.width}")
    if config.rotary % 2 or config.rotary > config.head_width:
        record.refuse("rotary_dim", f"an even number of a head's {config.head_width} channels")
    if not 0 <= config.eos < config.vocab_size:
        record.refuse("eos_token_id", f"one of the vocabulary's {config.vocab_size} ids")


def lm_to_json(config: LMConfig) -> dict[str, Any]:
    """Return the JSON of a configuration: the inverse of `lm_from_json`."""
    name = family_of(config)
    rotary = {"rotary_dim": config.rotary} if config.rotary else {}
    return {
        "architectures": [FAMILIES[name].architecture],
        "model_type": name,
        **{key: getattr(config, field) for field, key in _FIELDS.items()},
        **rotary,
        "bos_token_id": config.eos,
        "tie_word_embeddings": config.tied,
    }
