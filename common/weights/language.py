"""Conversion tables of GPT-2 and GPT-J in Hugging Face's layout."""

from common.weights.rules import Rule

_BLOCK, _OURS = "transformer.h.{i}", "block_{i}"
_PARTS = tuple(f"{_OURS}/attention/{part}" for part in ("query", "key", "value"))


def _norm(source: str, target: str) -> tuple[Rule, ...]:
    return (
        Rule(f"transformer.{source}.weight", f"{target}/scale"),
        Rule(f"transformer.{source}.bias", f"{target}/bias"),
    )


def _dense(source: str, target: str, transform: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{source}.weight", f"{target}/kernel", transform),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


GPT2 = (
    Rule("transformer.wte.weight", "token_embedding"),
    Rule("transformer.wpe.weight", "position_embedding"),
    *_norm("h.{i}.ln_{n:1|2}", f"{_OURS}/norm{{n:1|2}}"),
    # GPT-2 stores its linear maps as [in, out], and those of query, key and value side by side.
    Rule(f"{_BLOCK}.attn.c_attn.weight", tuple(f"{part}/kernel" for part in _PARTS), axis=1),
    Rule(f"{_BLOCK}.attn.c_attn.bias", tuple(f"{part}/bias" for part in _PARTS)),
    *_dense(f"{_BLOCK}.attn.c_proj", f"{_OURS}/attention/out", "keep"),
    *_dense(f"{_BLOCK}.mlp.c_fc", f"{_OURS}/mlp/fc1", "keep"),
    *_dense(f"{_BLOCK}.mlp.c_proj", f"{_OURS}/mlp/fc2", "keep"),
    *_norm("ln_f", "final_norm"),
)

GPTJ = (
    Rule("transformer.wte.weight", "token_embedding"),
    *_norm("h.{i}.ln_1", f"{_OURS}/norm1"),
    Rule(f"{_BLOCK}.attn.q_proj.weight", f"{_PARTS[0]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.k_proj.weight", f"{_PARTS[1]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.v_proj.weight", f"{_PARTS[2]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.out_proj.weight", f"{_OURS}/attention/out/kernel", "linear"),
    *_dense(f"{_BLOCK}.mlp.fc_in", f"{_OURS}/mlp/fc1", "linear"),
    *_dense(f"{_BLOCK}.mlp.fc_out", f"{_OURS}/mlp/fc2", "linear"),
    *_norm("ln_f", "final_norm"),
    *_dense("lm_head", "head", "linear"),
)

GPT2_IGNORE = ("*.attn.bias", "*.attn.masked_bias", "lm_head.weight")
"""Causal masks that older files hold, and the head, which is the token embeddings again."""

GPTJ_IGNORE = ("*.attn.bias", "*.attn.masked_bias")
