"""Conversion tables of GPT-2 and GPT-J in Hugging Face's layout."""

from common.weights.rules import Rule, layer, norm

_BLOCK, _OURS = "transformer.h.{i}", "block_{i}"
_PARTS = tuple(f"{_OURS}/attention/{part}" for part in ("query", "key", "value"))


GPT2 = (
    Rule("transformer.wte.weight", "token_embedding"),
    Rule("transformer.wpe.weight", "position_embedding"),
    *norm("transformer.h.{i}.ln_{n:1|2}", f"{_OURS}/norm{{n:1|2}}"),
    # GPT-2 stores its linear maps as [in, out], and those of query, key and value side by side.
    Rule(f"{_BLOCK}.attn.c_attn.weight", tuple(f"{part}/kernel" for part in _PARTS), axis=1),
    Rule(f"{_BLOCK}.attn.c_attn.bias", tuple(f"{part}/bias" for part in _PARTS)),
    *layer(f"{_BLOCK}.attn.c_proj", f"{_OURS}/attention/out", "keep"),
    *layer(f"{_BLOCK}.mlp.c_fc", f"{_OURS}/mlp/fc1", "keep"),
    *layer(f"{_BLOCK}.mlp.c_proj", f"{_OURS}/mlp/fc2", "keep"),
    *norm("transformer.ln_f", "final_norm"),
)

GPTJ = (
    Rule("transformer.wte.weight", "token_embedding"),
    *norm("transformer.h.{i}.ln_1", f"{_OURS}/norm1"),
    Rule(f"{_BLOCK}.attn.q_proj.weight", f"{_PARTS[0]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.k_proj.weight", f"{_PARTS[1]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.v_proj.weight", f"{_PARTS[2]}/kernel", "linear"),
    Rule(f"{_BLOCK}.attn.out_proj.weight", f"{_OURS}/attention/out/kernel", "linear"),
    *layer(f"{_BLOCK}.mlp.fc_in", f"{_OURS}/mlp/fc1"),
    *layer(f"{_BLOCK}.mlp.fc_out", f"{_OURS}/mlp/fc2"),
    *norm("transformer.ln_f", "final_norm"),
    *layer("lm_head", "head"),
)

GPT2_IGNORE = ("*.attn.bias", "*.attn.masked_bias", "lm_head.weight")
"""Causal masks that older files hold, and the head, which is the token embeddings again."""

GPTJ_IGNORE = ("*.attn.bias", "*.attn.masked_bias")
