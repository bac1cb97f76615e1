"""GPT-2's and GPT-J's configurations as Hugging Face's `config.json` holds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import UserError
from common.language.config import LMConfig
from common.language.layers import ACTIVATIONS
from common.weights.language import GPT2, GPT2_IGNORE, GPTJ, GPTJ_IGNORE
from common.weights.table import Table

# Our field -> Hugging Face's, which are the same for both kinds.
_FIELDS = {
    "vocab_size": "vocab_size",
    "width": "n_embd",
    "layers": "n_layer",
    "heads": "n_head",
    "mlp_width": "n_inner",
    "positions": "n_positions",
    "activation": "activation_function",
    "eps": "layer_norm_epsilon",
    "eos": "eos_token_id",
}


@dataclass(frozen=True)
class Kind:
    """One published kind of language model.

    Attributes:
      architecture: The class of transformers that reads it.
      defaults: What a file leaves out.
      form: Our fields that make the kind.
      required: Fields of the file that may only have these values, where they are given.
      table: The conversion table.
      ignore: Keys that carry no weights.
    """

    architecture: str
    defaults: Mapping[str, Any]
    form: Mapping[str, Any]
    required: Mapping[str, Any]
    table: Table
    ignore: Sequence[str]


_DEFAULTS = {"activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "eos_token_id": 50256}

KINDS: dict[str, Kind] = {
    "gpt2": Kind(
        "GPT2LMHeadModel",
        _DEFAULTS
        | {"vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024},
        {},
        {
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
            "tie_word_embeddings": True,
        },
        GPT2,
        GPT2_IGNORE,
    ),
    "gptj": Kind(
        "GPTJForCausalLM",
        _DEFAULTS
        | {"vocab_size": 50400, "n_embd": 4096, "n_layer": 28, "n_head": 16, "n_positions": 2048},
        {"parallel": True, "attention_bias": False, "tied": False},
        {"tie_word_embeddings": False},
        GPTJ,
        GPTJ_IGNORE,
    ),
}


def kind_of(config: LMConfig) -> str:
    """The key of `KINDS` that a configuration belongs to."""
    return "gptj" if config.rotary else "gpt2"


def lm_from_json(written: Mapping[str, Any]) -> LMConfig:
    """Reads `config.json`.

    Raises:
      UserError: It describes another kind of model, or a variant that is not supported.
    """
    name = written.get("model_type")
    if name not in KINDS:
        raise UserError(
            f"config.json describes a {name!r} model; the language models that can be read are "
            f"{', '.join(KINDS)}."
        )
    kind = KINDS[name]
    for field, value in kind.required.items():
        if written.get(field, value) != value:
            raise UserError(f"config.json asks for {field}={written[field]!r}, not {value!r}.")
    # Files write null for "the usual", too.
    given = kind.defaults | {key: value for key, value in written.items() if value is not None}
    given.setdefault("n_inner", 4 * given["n_embd"])
    fields = {ours: given[theirs] for ours, theirs in _FIELDS.items()}
    if fields["activation"] not in ACTIVATIONS:
        raise UserError(
            f"config.json asks for the activation {fields['activation']!r}; known are "
            f"{', '.join(ACTIVATIONS)}."
        )
    rotary = given.get("rotary_dim", 64) if name == "gptj" else 0
    return LMConfig(**fields, **kind.form, rotary=rotary)


def lm_to_json(config: LMConfig) -> dict[str, Any]:
    """Inverse of `lm_from_json`."""
    name = kind_of(config)
    rotary = {"rotary_dim": config.rotary} if config.rotary else {}
    return {
        "architectures": [KINDS[name].architecture],
        "model_type": name,
        **{theirs: getattr(config, ours) for ours, theirs in _FIELDS.items()},
        **rotary,
        "bos_token_id": config.eos,
        "tie_word_embeddings": config.tied,
    }
