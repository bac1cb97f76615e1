"""The sizes of MC-TI's random problems."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import common.pocket

BUNDLED = Path(common.pocket.__file__).with_name("models") / "sd"


@dataclass(frozen=True)
class Size:
    """Shapes of the networks and of our program.

    Attributes:
      text, unet, vae: What the `config.json` of each says.
      classes_per_chunk: How many classes our program treats at once; 0 for all.
      steps_per_call: Updates in one call of our program.
      repeating: Whether the random weights repeat themselves, which makes them in seconds.
    """

    text: Mapping[str, Any]
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    classes_per_chunk: int
    steps_per_call: int
    repeating: bool = False


def bundled() -> dict[str, Any]:
    """Return the shapes of the bundled model."""
    parts = {"text": "text_encoder", "unet": "unet", "vae": "vae"}
    return {k: json.loads((BUNDLED / v / "config.json").read_text()) for k, v in parts.items()}


SIZES = {
    # To try a script out.
    "tiny": Size(
        text={
            "vocab_size": 100,
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
        },
        unet={
            "sample_size": 4,
            "block_out_channels": [16],
            "down_block_types": ["CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D"],
            "layers_per_block": 1,
            "attention_head_dim": 2,
            "cross_attention_dim": 16,
            "norm_num_groups": 4,
        },
        vae={
            "sample_size": 8,
            "block_out_channels": [8, 8],
            "layers_per_block": 1,
            "norm_num_groups": 4,
        },
        classes_per_chunk=2,
        steps_per_call=3,
    ),
    "pocket": Size(**bundled(), classes_per_chunk=0, steps_per_call=10),
    # Stable Diffusion 1.x with a fifth of its channels, at a quarter of its pixels.
    "reduced": Size(
        text={
            "vocab_size": 49408,
            "hidden_size": 256,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "intermediate_size": 1024,
        },
        unet={
            "sample_size": 32,
            "block_out_channels": [64, 128, 256, 256],
            "cross_attention_dim": 256,
        },
        vae={"sample_size": 256, "block_out_channels": [32, 64, 128, 128]},
        classes_per_chunk=1,
        steps_per_call=1,
    ),
    # Stable Diffusion 1.5 at 512 pixels; wants a GPU.
    "sd15": Size(
        text={
            "vocab_size": 49408,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
        },
        unet={"sample_size": 64},
        vae={"sample_size": 512},
        classes_per_chunk=1,
        steps_per_call=1,
        repeating=True,
    ),
}
