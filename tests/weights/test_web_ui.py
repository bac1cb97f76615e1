"""Keys of the published files of Stable Diffusion 1.5, and where they go."""

import pytest

from common.weights.table import match_keys
from common.weights.web_ui import PREFIXES, unet_table, vae_table

UNET = {
    "time_embed.2.weight": "time_2/kernel",
    "input_blocks.0.0.bias": "conv_in/bias",
    "input_blocks.1.0.in_layers.2.weight": "down_0/resnet_0/conv1/kernel",
    "input_blocks.2.1.proj_in.weight": "down_0/transformer_1/proj_in/kernel",
    "input_blocks.3.0.op.weight": "down_0/downsample/conv/kernel",
    "input_blocks.4.0.skip_connection.weight": "down_1/resnet_0/shortcut/kernel",
    "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight": (
        "down_2/transformer_1/block/cross_attention/key/kernel"
    ),
    "input_blocks.11.0.emb_layers.1.bias": "down_3/resnet_1/time/bias",
    "middle_block.1.norm.weight": "mid/transformer_0/norm/scale",
    "middle_block.2.out_layers.3.weight": "mid/resnet_1/conv2/kernel",
    "output_blocks.2.1.conv.weight": "up_0/upsample/conv/kernel",
    "output_blocks.5.2.conv.bias": "up_1/upsample/conv/bias",
    "output_blocks.8.0.out_layers.0.weight": "up_2/resnet_2/norm2/scale",
    "output_blocks.11.1.transformer_blocks.0.ff.net.0.proj.weight": (
        "up_3/transformer_2/block/feed_forward/in/kernel"
    ),
    "out.0.weight": "norm_out/scale",
    "out.2.bias": "conv_out/bias",
}
VAE = {
    "encoder.down.1.block.0.nin_shortcut.weight": "encoder/down_1_resnet_0/shortcut/kernel",
    "encoder.down.2.downsample.conv.weight": "encoder/down_2_downsample/conv/kernel",
    "encoder.mid.attn_1.q.weight": "encoder/mid/attention/query/kernel",
    "decoder.mid.attn_1.proj_out.bias": "decoder/mid/attention/out/bias",
    "decoder.mid.block_2.norm1.weight": "decoder/mid/resnet_1/norm1/scale",
    # The decoder's levels count down: its first is the coarsest.
    "decoder.up.3.block.2.conv1.weight": "decoder/up_0_resnet_2/conv1/kernel",
    "decoder.up.0.block.0.nin_shortcut.weight": "decoder/up_3_resnet_0/shortcut/kernel",
    "decoder.up.3.upsample.conv.bias": "decoder/up_0_upsample/conv/bias",
    "decoder.norm_out.weight": "decoder/norm_out/scale",
    "post_quant_conv.weight": "post_quant/kernel",
}
TABLES = {
    "unet": (unet_table(2, (False, True, True, True), False), UNET),
    "vae": (vae_table(4), VAE),
}


@pytest.mark.parametrize(("table", "keys"), TABLES.values(), ids=TABLES)
def test_published_keys(table, keys):
    assert {key: match.paths for key, match in match_keys(table, keys).items()} == {
        key: (path,) for key, path in keys.items()
    }


def test_prefixes_are_of_different_parts():
    heads = [head for names in PREFIXES.values() for head in names]
    assert all(not one.startswith(other) for one in heads for other in heads if one != other)
