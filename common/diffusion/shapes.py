"""Sizes of a Stable Diffusion's parts, from the shapes of their weights in one file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from common.clip.config import TextConfig
from common.clip.single_file import count
from common.diffusion.config import VAEConfig

_HEADS, _HEAD_WIDTH = 8, 64  # for each level in 1.x, and of each head elsewhere
_DOWN = {True: "CrossAttnDownBlock2D", False: "DownBlock2D"}
_UP = {True: "CrossAttnUpBlock2D", False: "UpBlock2D"}


def unet_fields(tensors: Mapping[str, np.ndarray], first: bool) -> dict[str, Any]:
    """Return the fields of `UNetConfig` that the shapes tell; `first` says that it is of 1.x."""
    channels, down, layers, depths = [], [], [], []
    for block in range(1, count(tensors, "input_blocks.")):
        name = f"input_blocks.{block}"
        if f"{name}.0.op.weight" in tensors:
            continue
        if block == 1 or f"input_blocks.{block - 1}.0.op.weight" in tensors:
            channels.append(tensors[f"{name}.0.out_layers.3.weight"].shape[0])
            down.append(f"{name}.1.proj_in.weight" in tensors)
            depths.append(max(1, count(tensors, f"{name}.1.transformer_blocks.")))
            layers.append(0)
        layers[-1] += 1
    per_level = layers[0]
    up = [
        f"output_blocks.{level * (per_level + 1)}.1.proj_in.weight" in tensors
        for level in range(len(channels))
    ]
    transformer = "middle_block.1"
    attended = f"{transformer}.transformer_blocks.0.attn2.to_k.weight"
    return {
        "in_channels": tensors["input_blocks.0.0.weight"].shape[1],
        "out_channels": tensors["out.2.weight"].shape[0],
        "block_out_channels": tuple(channels),
        "down_block_types": tuple(_DOWN[attention] for attention in down),
        "up_block_types": tuple(_UP[attention] for attention in up),
        "layers_per_block": per_level,
        "attention_head_dim": _HEADS if first else tuple(c // _HEAD_WIDTH for c in channels),
        "cross_attention_dim": tensors[attended].shape[1],
        "use_linear_projection": tensors[f"{transformer}.proj_in.weight"].ndim == 2,
        "transformer_layers_per_block": tuple(depths) if max(depths) > 1 else 1,
    }


def vae_sizes(tensors: Mapping[str, np.ndarray], **others: Any) -> VAEConfig:
    """Return the autoencoder's configuration; `others` are fields that no shape tells."""
    levels = count(tensors, "encoder.down.")
    return VAEConfig(
        in_channels=tensors["encoder.conv_in.weight"].shape[1],
        out_channels=tensors["decoder.conv_out.weight"].shape[0],
        block_out_channels=tuple(
            tensors[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in range(levels)
        ),
        layers_per_block=count(tensors, "encoder.down.0.block."),
        latent_channels=tensors["decoder.conv_in.weight"].shape[1],
        **others,
    )


def text_sizes(tensors: Mapping[str, np.ndarray]) -> TextConfig:
    """Return the configuration of a text tower in Hugging Face's layout."""
    embeddings, blocks = "text_model.embeddings", "text_model.encoder.layers."
    words, width = tensors[f"{embeddings}.token_embedding.weight"].shape
    return TextConfig(
        vocab_size=words,
        width=width,
        layers=count(tensors, blocks),
        heads=width // _HEAD_WIDTH,
        mlp_width=tensors[f"{blocks}0.mlp.fc1.weight"].shape[0],
        positions=tensors[f"{embeddings}.position_embedding.weight"].shape[0],
        bos=words - 2,
        eos=words - 1,
        pad=words - 1,
        pool="argmax",
    )
