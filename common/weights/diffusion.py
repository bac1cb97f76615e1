"""Conversion tables for Stable Diffusion's UNet and autoencoder in diffusers' layout."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from common.weights.rules import Rule, layer, norm
from common.weights.table import Table, to_flax


def unet_table(linear_projection: bool) -> Table:
    """Return the table of `common.diffusion.UNet`.

    Args:
      linear_projection: The configuration's `use_linear_projection`: whether the projections
        around transformer blocks are stored as linear maps instead of 1x1 convolutions. The
        model computes the same either way.
    """
    rules = [
        *layer("conv_in", "conv_in", "conv"),
        *layer("time_embedding.linear_{i}", "time_{i}"),
        *layer("add_embedding.linear_{i}", "added/linear_{i}"),
        *norm("conv_norm_out", "norm_out"),
        *layer("conv_out", "conv_out", "conv"),
    ]
    for source, target in _LEVELS:
        rules += _resnet(f"{source}.resnets.{{j}}", f"{target}/resnet_{{j}}")
        rules += transformer(
            f"{source}.attentions.{{j}}", f"{target}/transformer_{{j}}", linear_projection
        )
    rules += layer("down_blocks.{i}.downsamplers.0.conv", "down_{i}/downsample/conv", "conv")
    rules += layer("up_blocks.{i}.upsamplers.0.conv", "up_{i}/upsample/conv", "conv")
    return tuple(rules)


def vae_to_flax(
    tensors: Mapping[str, np.ndarray], dtype: DTypeLike | None = None
) -> dict[str, Any]:
    """Convert the weights of an `AutoencoderKL`, of today's layout or of any older one.

    Older files name the attention's maps differently, and some hold them as 1x1 convolutions.
    """
    plain = {
        name: x.reshape(x.shape[:2]) if ".attentions." in name and x.shape[2:] == (1, 1) else x
        for name, x in tensors.items()
    }
    return to_flax(VAE, plain, dtype=dtype)


_LEVELS = (("down_blocks.{i}", "down_{i}"), ("mid_block", "mid"), ("up_blocks.{i}", "up_{i}"))


def _resnet(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *norm(f"{source}.norm{{n}}", f"{target}/norm{{n}}"),
        *layer(f"{source}.conv{{n:1|2}}", f"{target}/conv{{n:1|2}}", "conv"),
        *layer(f"{source}.time_emb_proj", f"{target}/time"),
        *layer(f"{source}.conv_shortcut", f"{target}/shortcut", "conv"),
    )


def transformer(source: str, target: str, linear_projection: bool) -> tuple[Rule, ...]:
    """Return the rules of a transformer, which is the same in every layout."""
    projection = "linear" if linear_projection else "conv1x1_as_linear"
    return (
        *norm(f"{source}.norm", f"{target}/norm"),
        *layer(f"{source}.proj_{{p:in|out}}", f"{target}/proj_{{p:in|out}}", projection),
        # The first block has no number: in 1.x and 2.x it is the only one.
        *_transformer_block(f"{source}.transformer_blocks.0", f"{target}/block"),
        *_transformer_block(f"{source}.transformer_blocks.{{k}}", f"{target}/block_{{k}}"),
    )


def _transformer_block(inside: str, block: str) -> tuple[Rule, ...]:
    rules = [
        *norm(f"{inside}.norm{{n}}", f"{block}/norm{{n}}"),
        *layer(f"{inside}.ff.net.0.proj", f"{block}/feed_forward/in"),
        *layer(f"{inside}.ff.net.2", f"{block}/feed_forward/out"),
    ]
    for short, full in (("attn1", "self_attention"), ("attn2", "cross_attention")):
        for name in ("query", "key", "value"):
            weight = f"{inside}.{short}.to_{name[0]}.weight"
            rules.append(Rule(weight, f"{block}/{full}/{name}/kernel", "linear"))
        rules += layer(f"{inside}.{short}.to_out.0", f"{block}/{full}/out")
    return tuple(rules)


def _vae_half(half: str, level: str, resample: str) -> tuple[Rule, ...]:
    """Return rules of the encoder ("down", "downsample") or the decoder ("up", "upsample")."""
    attention = f"{half}.mid_block.attentions.0", f"{half}/mid/attention"
    rules = [
        *layer(f"{half}.conv_{{p:in|out}}", f"{half}/conv_{{p:in|out}}", "conv"),
        *norm(f"{half}.conv_norm_out", f"{half}/norm_out"),
        *_resnet(
            f"{half}.{level}_blocks.{{i}}.resnets.{{j}}", f"{half}/{level}_{{i}}_resnet_{{j}}"
        ),
        *layer(
            f"{half}.{level}_blocks.{{i}}.{resample}rs.0.conv",
            f"{half}/{level}_{{i}}_{resample}/conv",
            "conv",
        ),
        *_resnet(f"{half}.mid_block.resnets.{{j}}", f"{half}/mid/resnet_{{j}}"),
        *norm(f"{attention[0]}.group_norm", f"{attention[1]}/norm"),
    ]
    # Today's name comes first: it is the one that is written. Files of 2022 have the second.
    for name, sources in _VAE_ATTENTION.items():
        for source in sources:
            rules += layer(f"{attention[0]}.{source}", f"{attention[1]}/{name}")
    return tuple(rules)


_VAE_ATTENTION = {
    "query": ("to_q", "query"),
    "key": ("to_k", "key"),
    "value": ("to_v", "value"),
    "out": ("to_out.0", "proj_attn"),
}

VAE: Table = (
    *_vae_half("encoder", "down", "downsample"),
    *_vae_half("decoder", "up", "upsample"),
    *layer("quant_conv", "quant", "conv"),
    *layer("post_quant_conv", "post_quant", "conv"),
)
"""The table of `common.diffusion.AutoencoderKL`; read files through `vae_to_flax`."""
