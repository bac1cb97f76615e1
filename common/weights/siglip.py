"""Conversion tables of SigLIP's towers."""

from common.weights.clip import HF_TEXT_TOWER, hf_block, under
from common.weights.rules import Rule, joined, layer, norm

_HEAD = "vision/head/attention"

HF_SIGLIP = (
    *under("text", HF_TEXT_TOWER),
    *layer("text_model.head", "text/projection"),
    *layer("vision_model.embeddings.patch_embedding", "vision/patch_embedding", "conv"),
    Rule("vision_model.embeddings.position_embedding.weight", "vision/position_embedding"),
    *hf_block("vision_model.encoder.layers.{i}", "vision/block_{i}"),
    *norm("vision_model.post_layernorm", "vision/post_norm"),
    Rule("vision_model.head.probe", "vision/head/probe"),
    *joined("vision_model.head.attention.in_proj", _HEAD),
    *layer("vision_model.head.attention.out_proj", f"{_HEAD}/out"),
    *norm("vision_model.head.layernorm", "vision/head/norm"),
    *layer("vision_model.head.mlp.{fc:fc1|fc2}", "vision/head/mlp/{fc:fc1|fc2}"),
    Rule("logit_scale", "logit_scale", "number"),
    Rule("logit_bias", "logit_bias", "number"),
)
"""Hugging Face's `SiglipModel`."""


def _same(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of a linear map, a convolution or a norm that is Flax's already."""
    return (Rule(f"{source}/{{w:kernel|scale|bias}}", f"{target}/{{w:kernel|scale|bias}}"),)


def _attention(source: str, target: str) -> tuple[Rule, ...]:
    parts = "{part:query|key|value}"
    return (
        Rule(f"{source}/{parts}/kernel", f"{target}/{parts}/kernel", "into_heads"),
        Rule(f"{source}/{parts}/bias", f"{target}/{parts}/bias", "of_heads"),
        Rule(f"{source}/out/kernel", f"{target}/out/kernel", "out_of_heads"),
        Rule(f"{source}/out/bias", f"{target}/out/bias"),
    )


def _mlp(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *_same(f"{source}/Dense_0", f"{target}/fc1"),
        *_same(f"{source}/Dense_1", f"{target}/fc2"),
    )


def _block(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *_same(f"{source}/LayerNorm_0", f"{target}/norm1"),
        *_attention(f"{source}/MultiHeadDotProductAttention_0", f"{target}/attention"),
        *_same(f"{source}/LayerNorm_1", f"{target}/norm2"),
        *_mlp(f"{source}/MlpBlock_0", f"{target}/mlp"),
    )


_POOL = "img/MAPHead_0"

BIG_VISION = (
    Rule("txt/Embed_0/embedding", "text/token_embedding"),
    Rule("txt/pos_embedding", "text/position_embedding", "unbatched"),
    *_block("txt/Encoder_0/encoderblock_{i}", "text/block_{i}"),
    *_same("txt/Encoder_0/encoder_norm", "text/final_norm"),
    *_same("txt/head", "text/projection"),
    *_same("img/embedding", "vision/patch_embedding"),
    Rule("img/pos_embedding", "vision/position_embedding", "unbatched"),
    *_block("img/Transformer/encoderblock_{i}", "vision/block_{i}"),
    *_same("img/Transformer/encoder_norm", "vision/post_norm"),
    Rule(f"{_POOL}/probe", "vision/head/probe"),
    *_attention(f"{_POOL}/MultiHeadDotProductAttention_0", _HEAD),
    *_same(f"{_POOL}/LayerNorm_0", "vision/head/norm"),
    *_mlp(f"{_POOL}/MlpBlock_0", "vision/head/mlp"),
    Rule("t", "logit_scale", "number"),
    Rule("b", "logit_bias", "number"),
)
"""big_vision's own names, as `read_big_vision` returns them."""
