"""Conversion tables of SigLIP's towers."""

from common.weights.clip import HF_TEXT_TOWER, hf_block, under
from common.weights.rules import Rule, layer, norm

_HEAD = "vision/head/attention"
_PARTS = ("query", "key", "value")

HF_SIGLIP = (
    *under("text", HF_TEXT_TOWER),
    *layer("text_model.head", "text/projection"),
    *layer("vision_model.embeddings.patch_embedding", "vision/patch_embedding", "conv"),
    Rule("vision_model.embeddings.position_embedding.weight", "vision/position_embedding"),
    *hf_block("vision_model.encoder.layers.{i}", "vision/block_{i}"),
    *norm("vision_model.post_layernorm", "vision/post_norm"),
    Rule("vision_model.head.probe", "vision/head/probe"),
    Rule(
        "vision_model.head.attention.in_proj_weight",
        tuple(f"{_HEAD}/{part}/kernel" for part in _PARTS),
        "linear",
    ),
    Rule(
        "vision_model.head.attention.in_proj_bias",
        tuple(f"{_HEAD}/{part}/bias" for part in _PARTS),
    ),
    *layer("vision_model.head.attention.out_proj", f"{_HEAD}/out"),
    *norm("vision_model.head.layernorm", "vision/head/norm"),
    *layer("vision_model.head.mlp.{fc:fc1|fc2}", "vision/head/mlp/{fc:fc1|fc2}"),
    Rule("logit_scale", "logit_scale", "number"),
    Rule("logit_bias", "logit_bias", "number"),
)
"""Hugging Face's `SiglipModel`."""
