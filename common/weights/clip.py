"""Conversion tables of CLIP's towers: Hugging Face's layout and open_clip's (OpenAI's)."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from common.weights.rules import Rule, joined, layer, norm


def hf_block(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of one residual block in Hugging Face's layout."""
    attention = f"{target}/attention"
    return (
        *norm(f"{source}.layer_norm{{n:1|2}}", f"{target}/norm{{n:1|2}}"),
        *layer(f"{source}.self_attn.q_proj", f"{attention}/query"),
        *layer(f"{source}.self_attn.k_proj", f"{attention}/key"),
        *layer(f"{source}.self_attn.v_proj", f"{attention}/value"),
        *layer(f"{source}.self_attn.out_proj", f"{attention}/out"),
        *layer(f"{source}.mlp.{{fc:fc1|fc2}}", f"{target}/mlp/{{fc:fc1|fc2}}"),
    )


HF_TEXT_TOWER = (
    Rule("text_model.embeddings.token_embedding.weight", "token_embedding"),
    Rule("text_model.embeddings.position_embedding.weight", "position_embedding"),
    *hf_block("text_model.encoder.layers.{i}", "block_{i}"),
    *norm("text_model.final_layer_norm", "final_norm"),
)
"""Stable Diffusion's `text_encoder/`: a text tower alone, without projection."""

HF_PROJECTED_TEXT_TOWER = (
    *HF_TEXT_TOWER,
    Rule("text_projection.weight", "projection/kernel", "linear"),
)
"""XL's `text_encoder_2/`."""


_BARE = "embeddings.token_embedding.weight"
"""A key of a text tower without the prefix that published files have."""


def with_text_model(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a text tower's tensors with the `text_model.` that transformers 5 and tools leave out.

    A projection lies outside of it.
    """
    if _BARE not in tensors:
        return dict(tensors)
    return {
        key if key.startswith("text_projection.") else f"text_model.{key}": tensor
        for key, tensor in tensors.items()
    }


def under(prefix: str, table: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return a table whose parameters lie below a prefix."""

    def put(target: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(target, str):
            return f"{prefix}/{target}"
        return tuple(f"{prefix}/{path}" for path in target)

    return tuple(dataclasses.replace(rule, target=put(rule.target)) for rule in table)


HF_CLIP = (
    *under("text", HF_PROJECTED_TEXT_TOWER),
    Rule("vision_model.embeddings.class_embedding", "vision/class_embedding"),
    Rule("vision_model.embeddings.position_embedding.weight", "vision/position_embedding"),
    Rule(
        "vision_model.embeddings.patch_embedding.weight",
        "vision/patch_embedding/kernel",
        "conv",
    ),
    # The published keys spell it like this.
    *norm("vision_model.pre_layrnorm", "vision/pre_norm"),
    *hf_block("vision_model.encoder.layers.{i}", "vision/block_{i}"),
    *norm("vision_model.post_layernorm", "vision/post_norm"),
    Rule("visual_projection.weight", "vision/projection/kernel", "linear"),
    Rule("logit_scale", "logit_scale"),
)
"""Hugging Face's `CLIPModel`, as published (`text_model.`, `vision_model.`)."""

HF_IGNORE = ("*.position_ids",)
"""Buffers that older files hold."""


def _open_clip_block(source: str, target: str) -> tuple[Rule, ...]:
    attention = f"{target}/attention"
    return (
        *norm(f"{source}.ln_{{n:1|2}}", f"{target}/norm{{n:1|2}}"),
        *joined(f"{source}.attn.in_proj", attention),
        *layer(f"{source}.attn.out_proj", f"{attention}/out"),
        *layer(f"{source}.mlp.c_fc", f"{target}/mlp/fc1"),
        *layer(f"{source}.mlp.c_proj", f"{target}/mlp/fc2"),
    )


OPEN_CLIP_TEXT_TOWER = (
    Rule("token_embedding.weight", "token_embedding"),
    Rule("positional_embedding", "position_embedding"),
    *_open_clip_block("transformer.resblocks.{i}", "block_{i}"),
    *norm("ln_final", "final_norm"),
)
"""The text tower of Stable Diffusion 2.x in one file, without projection."""

# Applied from the right, hence already [in, out].
OPEN_CLIP_PROJECTED_TEXT_TOWER = (
    *OPEN_CLIP_TEXT_TOWER,
    Rule("text_projection", "projection/kernel"),
)
"""The second text tower of XL in one file."""

_OPEN_CLIP_TEXT = (
    *under("text", OPEN_CLIP_PROJECTED_TEXT_TOWER),
    Rule("logit_scale", "logit_scale"),
)

OPEN_CLIP_VIT = (
    *_OPEN_CLIP_TEXT,
    Rule("visual.class_embedding", "vision/class_embedding"),
    Rule("visual.positional_embedding", "vision/position_embedding"),
    Rule("visual.conv1.weight", "vision/patch_embedding/kernel", "conv"),
    *norm("visual.ln_pre", "vision/pre_norm"),
    *_open_clip_block("visual.transformer.resblocks.{i}", "vision/block_{i}"),
    *norm("visual.ln_post", "vision/post_norm"),
    Rule("visual.proj", "vision/projection/kernel"),
)


def _conv_norm(conv: str, scale: str, target: str) -> tuple[Rule, ...]:
    return (
        Rule(f"{conv}.weight", f"{target}/conv/kernel", "conv"),
        *norm(scale, f"{target}/norm"),
        Rule(f"{scale}.running_mean", f"{target}/norm/mean"),
        Rule(f"{scale}.running_var", f"{target}/norm/variance"),
    )


_STAGE, _BLOCK = "visual.layer{stage}.{i}", "vision/stage{stage}_block_{i}"

OPEN_CLIP_RESNET = (
    *_OPEN_CLIP_TEXT,
    *_conv_norm("visual.conv{n}", "visual.bn{n}", "vision/stem{n}"),
    *_conv_norm(f"{_STAGE}.conv{{n}}", f"{_STAGE}.bn{{n}}", f"{_BLOCK}/layer{{n}}"),
    *_conv_norm(f"{_STAGE}.downsample.0", f"{_STAGE}.downsample.1", f"{_BLOCK}/shortcut"),
    Rule("visual.attnpool.positional_embedding", "vision/pool/position_embedding"),
    *layer("visual.attnpool.q_proj", "vision/pool/query"),
    *layer("visual.attnpool.k_proj", "vision/pool/key"),
    *layer("visual.attnpool.v_proj", "vision/pool/value"),
    *layer("visual.attnpool.c_proj", "vision/pool/out"),
)

OPEN_CLIP_IGNORE = (
    "*.num_batches_tracked",
    "attn_mask",
    # OpenAI's own state dicts keep three sizes among the weights.
    "input_resolution",
    "context_length",
    "vocab_size",
)
