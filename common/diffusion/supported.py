"""Which fields of diffusers' model configurations are supported, and with which values."""

from collections.abc import Collection, Mapping
from typing import Any

from common.records import Record
from common.sizes import require_known

# Fields that change the architecture and that only have one supported value. A file may
# leave them out (older ones do); any other value is refused rather than ignored.
UNET_FIXED: Mapping[str, Any] = {
    "act_fn": "silu",
    "attention_type": "default",
    "center_input_sample": False,
    "class_embed_type": None,
    "class_embeddings_concat": False,
    "conv_in_kernel": 3,
    "conv_out_kernel": 3,
    "cross_attention_norm": None,
    "downsample_padding": 1,
    "dropout": 0.0,
    "dual_cross_attention": False,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_only_cross_attention": None,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "norm_eps": 1e-5,
    "num_attention_heads": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "reverse_transformer_layers_per_block": None,
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
}
VAE_FIXED: Mapping[str, Any] = {
    "act_fn": "silu",
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
# Fields of XL alone: files and fingerprints of other models do not have them.
UNET_YOUNGER: Mapping[str, Any] = {
    "transformer_layers_per_block": 1,
    "addition_embed_type": None,
    "addition_time_embed_dim": None,
    "projection_class_embeddings_input_dim": None,
}
VAE_YOUNGER: Mapping[str, Any] = {"force_upcast": None}
# Without meaning here: softmax is always float32, and of an XL alone `force_upcast` is followed.
_IGNORED = frozenset({"addition_embed_type_num_heads", "force_upcast", "upcast_attention"})


def check_supported(record: Record, names: Collection[str], fixed: Mapping[str, Any]) -> None:
    """Check a `config.json` before it is read, so that no field is ignored silently.

    Args:
      record: Its fields.
      names: Names of the fields that are read.
      fixed: The fields with only one supported value.

    Raises:
      UserError: It names the field and the value that are not supported.
    """
    for name in fixed.keys() & record.content.keys():
        if record.content[name] != fixed[name]:
            record.refuse(name, f"{fixed[name]!r}, as in Stable Diffusion 1.x, 2.x and XL")
    require_known(record, {*names, *fixed, *_IGNORED})
