"""Conversion tables of Stable Diffusion in one file, in the layout of its authors and of web UIs.

Blocks are numbered through all levels there, so a table belongs to a number of levels and layers.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from common.weights.diffusion import transformer
from common.weights.rules import Rule, layer, norm
from common.weights.table import Table

PREFIXES = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    # 1.x has Hugging Face's tower, and 2.x open_clip's; some tools leave out `text_model.`.
    "text_encoder": ("cond_stage_model.transformer.", "cond_stage_model.model."),
}
"""What stands before the keys of each part."""

XL_PREFIXES = {
    "unet": PREFIXES["unet"],
    "vae": PREFIXES["vae"],
    "text_encoder": ("conditioner.embedders.0.transformer.",),
    "text_encoder_2": ("conditioner.embedders.1.model.",),
}
"""The same of XL: Hugging Face's tower and open_clip's."""

IGNORE: Mapping[str, tuple[str, ...]] = {
    "unet": (),
    "vae": ("loss.*", "model_ema.*"),
    "text_encoder": (
        *("*.position_ids", "attn_mask", "logit_scale"),
        *("text_projection", "text_projection.weight"),
    ),
    "text_encoder_2": ("attn_mask", "logit_scale"),
}
"""Patterns of keys that carry no weights of ours."""


def part_of(
    tensors: Mapping[str, np.ndarray],
    name: str,
    prefixes: Mapping[str, tuple[str, ...]] = PREFIXES,
) -> dict[str, np.ndarray]:
    """Return the tensors of one part, without what stands before their keys."""
    return {
        key.removeprefix(prefix): tensor
        for prefix in prefixes[name]
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }


def unet_table(layers: int, attends: Sequence[bool], linear_projection: bool) -> Table:
    """Return the table of `common.diffusion.UNet`.

    Args:
      layers: ResNet blocks of each level on the way down; one more on the way up.
      attends: For each level of the way up, whether it has transformers.
      linear_projection: As in `common.weights.diffusion.unet_table`.
    """
    levels = len(attends)
    rules = [
        *layer("input_blocks.0.0", "conv_in", "conv"),
        *layer("time_embed.0", "time_1"),
        *layer("time_embed.2", "time_2"),
        *layer("label_emb.0.0", "added/linear_1"),
        *layer("label_emb.0.2", "added/linear_2"),
        *norm("out.0", "norm_out"),
        *layer("out.2", "conv_out", "conv"),
        *_resnet("middle_block.0", "mid/resnet_0"),
        *transformer("middle_block.1", "mid/transformer_0", linear_projection),
        *_resnet("middle_block.2", "mid/resnet_1"),
    ]
    for level in range(levels):
        start = 1 + level * (layers + 1)
        for j in range(layers):
            rules += _resnet(f"input_blocks.{start + j}.0", f"down_{level}/resnet_{j}")
            rules += transformer(
                f"input_blocks.{start + j}.1", f"down_{level}/transformer_{j}", linear_projection
            )
        if level < levels - 1:
            last = f"input_blocks.{start + layers}.0.op"
            rules += layer(last, f"down_{level}/downsample/conv", "conv")
    for level, attention in enumerate(attends):
        start = level * (layers + 1)
        for j in range(layers + 1):
            rules += _resnet(f"output_blocks.{start + j}.0", f"up_{level}/resnet_{j}")
            if attention:
                target = f"up_{level}/transformer_{j}"
                rules += transformer(f"output_blocks.{start + j}.1", target, linear_projection)
        if level < levels - 1:
            last = f"output_blocks.{start + layers}.{1 + attention}.conv"
            rules += layer(last, f"up_{level}/upsample/conv", "conv")
    return tuple(rules)


def vae_table(levels: int) -> Table:
    """Return the table of `common.diffusion.AutoencoderKL`, whose decoder's levels count down."""
    rules = [
        *layer("quant_conv", "quant", "conv"),
        *layer("post_quant_conv", "post_quant", "conv"),
    ]
    for half, level, resample in (
        ("encoder", "down", "downsample"),
        ("decoder", "up", "upsample"),
    ):
        rules += [
            *layer(f"{half}.conv_{{p:in|out}}", f"{half}/conv_{{p:in|out}}", "conv"),
            *norm(f"{half}.norm_out", f"{half}/norm_out"),
            *_vae_resnet(f"{half}.mid.block_1", f"{half}/mid/resnet_0"),
            *_vae_resnet(f"{half}.mid.block_2", f"{half}/mid/resnet_1"),
            *norm(f"{half}.mid.attn_1.norm", f"{half}/mid/attention/norm"),
        ]
        for source, target in _VAE_ATTENTION.items():
            attention = f"{half}/mid/attention/{target}"
            rules += layer(f"{half}.mid.attn_1.{source}", attention, "conv1x1_as_linear")
        for i in range(levels):
            theirs = f"{half}.{level}.{i}"
            ours = f"{half}/{level}_{i if half == 'encoder' else levels - 1 - i}"
            rules += _vae_resnet(f"{theirs}.block.{{j}}", f"{ours}_resnet_{{j}}")
            rules += layer(f"{theirs}.{resample}.conv", f"{ours}_{resample}/conv", "conv")
    return tuple(rules)


def _resnet(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *norm(f"{source}.in_layers.0", f"{target}/norm1"),
        *layer(f"{source}.in_layers.2", f"{target}/conv1", "conv"),
        *layer(f"{source}.emb_layers.1", f"{target}/time"),
        *norm(f"{source}.out_layers.0", f"{target}/norm2"),
        *layer(f"{source}.out_layers.3", f"{target}/conv2", "conv"),
        *layer(f"{source}.skip_connection", f"{target}/shortcut", "conv"),
    )


def _vae_resnet(source: str, target: str) -> tuple[Rule, ...]:
    return (
        *norm(f"{source}.norm{{n:1|2}}", f"{target}/norm{{n:1|2}}"),
        *layer(f"{source}.conv{{n:1|2}}", f"{target}/conv{{n:1|2}}", "conv"),
        *layer(f"{source}.nin_shortcut", f"{target}/shortcut", "conv"),
    )


_VAE_ATTENTION = {"q": "query", "k": "key", "v": "value", "proj_out": "out"}
