"""Model configurations, read from and written to diffusers' `config.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from common.diffusion.fields import TEXT_TIME, DiffusersConfig
from common.diffusion.supported import UNET_FIXED, UNET_YOUNGER, VAE_FIXED, VAE_YOUNGER
from common.records import Record

SIZES = 6
"""Of the original picture, of the corner that was cut out, and of the picture to draw."""


@dataclasses.dataclass(frozen=True, repr=False)
class UNetConfig(DiffusersConfig):
    """Shape of a `UNet`; the fields carry diffusers' names.

    Attributes:
      sample_size: Side of the square latents the model was trained on.
      attention_head_dim: The number of HEADS per level, in spite of the name, which is a
        mistake that diffusers keeps for its published files (huggingface/diffusers#2011).
        One number stands for all levels: 8 in SD 1.x; [5, 10, 20, 20] in SD 2.x.
      use_linear_projection: How the files store the projections around the transformer
        blocks: as 1x1 convolutions (SD 1.x) or as linear maps (SD 2.x).
      transformer_layers_per_block: Transformer blocks of each transformer, for all levels or for
        each: [1, 2, 10] in XL.
      addition_embed_type: "text_time" if a pooled text and six sizes are embedded as well, as in
        XL.
      addition_time_embed_dim: Sinusoids of each size.
      projection_class_embeddings_input_dim: Channels of the pooled text and of all six sizes.
    """

    sample_size: int = 64
    in_channels: int = 4
    out_channels: int = 4
    block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280)
    down_block_types: tuple[str, ...] = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
    up_block_types: tuple[str, ...] = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3
    layers_per_block: int = 2
    attention_head_dim: int | tuple[int, ...] = 8
    cross_attention_dim: int = 768
    norm_num_groups: int = 32
    use_linear_projection: bool = False
    transformer_layers_per_block: int | tuple[int, ...] = 1
    addition_embed_type: str | None = None
    addition_time_embed_dim: int | None = None
    projection_class_embeddings_input_dim: int | None = None

    _younger = UNET_YOUNGER
    _class_name = "UNet2DConditionModel"
    _file = "unet/config.json"
    _fixed = UNET_FIXED

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | Record) -> "UNetConfig":
        """Read diffusers' `unet/config.json`.

        Raises:
          UserError: A field has a value that the model does not support, or the fields
            contradict each other.
        """
        return cls(**cls._fields(raw))

    def __post_init__(self):
        levels = len(self.block_out_channels)
        for name, allowed in (
            ("down_block_types", ("CrossAttnDownBlock2D", "DownBlock2D")),
            ("up_block_types", ("CrossAttnUpBlock2D", "UpBlock2D")),
        ):
            value = getattr(self, name)
            self._require(
                len(value) == levels and set(value) <= set(allowed),
                f"{name}={value!r} must hold {levels} of {allowed}, one for each of "
                f"block_out_channels={self.block_out_channels}.",
            )
        self._require(
            len(self.heads) == levels
            and not any(c % n for c, n in zip(self.block_out_channels, self.heads, strict=True)),
            f"attention_head_dim={self.attention_head_dim!r}, the number of heads, must divide "
            f"block_out_channels={self.block_out_channels} level by level.",
        )
        self._require(
            len(self.depths) == levels,
            f"transformer_layers_per_block={self.transformer_layers_per_block!r} must be one "
            f"number, or one for each of block_out_channels={self.block_out_channels}.",
        )
        self._require_groups()
        self._require_addition()

    @property
    def heads(self) -> tuple[int, ...]:
        """Attention heads of each level, outermost first."""
        if isinstance(self.attention_head_dim, tuple):
            return self.attention_head_dim
        return (self.attention_head_dim,) * len(self.block_out_channels)

    @property
    def depths(self) -> tuple[int, ...]:
        """Transformer blocks of each transformer, by level, outermost first."""
        if isinstance(self.transformer_layers_per_block, tuple):
            return self.transformer_layers_per_block
        return (self.transformer_layers_per_block,) * len(self.block_out_channels)

    @property
    def pooled_width(self) -> int | None:
        """Channels of the pooled text that is embedded; None where none is."""
        if self.addition_embed_type is None:
            return None
        return self.projection_class_embeddings_input_dim - SIZES * self.addition_time_embed_dim

    def _require_addition(self) -> None:
        names = ("addition_time_embed_dim", "projection_class_embeddings_input_dim")
        inner, whole = (getattr(self, name) for name in names)
        if self.addition_embed_type is None:
            self._require(
                whole is None, f"{names[1]}={whole!r} needs addition_embed_type={TEXT_TIME!r}."
            )
            return
        self._require(
            inner is not None and whole is not None and inner % 2 == 0 and whole > SIZES * inner,
            f"addition_embed_type={self.addition_embed_type!r} needs {names[0]}, an even number, "
            f"and {names[1]}, more than {SIZES} times it; they are {inner!r} and {whole!r}.",
        )


@dataclasses.dataclass(frozen=True, repr=False)
class VAEConfig(DiffusersConfig):
    """Shape of an `AutoencoderKL`; the fields carry diffusers' names.

    Attributes:
      scaling_factor: What callers multiply latents with after encoding (and divide by before
        decoding) to give them unit variance.
      force_upcast: Whether float16 is too narrow for it, so that it runs in float32; None in 1.x
        and 2.x, whose pipelines do not ask.
    """

    sample_size: int = 512
    in_channels: int = 3
    out_channels: int = 3
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    down_block_types: tuple[str, ...] | None = None
    up_block_types: tuple[str, ...] | None = None
    layers_per_block: int = 2
    latent_channels: int = 4
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215
    force_upcast: bool | None = None

    _younger = VAE_YOUNGER
    _class_name = "AutoencoderKL"
    _file = "vae/config.json"
    _fixed = VAE_FIXED

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | Record) -> "VAEConfig":
        """Read diffusers' `vae/config.json`.

        Raises:
          UserError: A field has a value that the model does not support.
        """
        return cls(**cls._fields(raw))

    def __post_init__(self):
        levels = len(self.block_out_channels)
        for name, only in (
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ):
            if getattr(self, name) is None:
                object.__setattr__(self, name, (only,) * levels)
            value = getattr(self, name)
            self._require(
                value == (only,) * levels, f"{name}={value!r} must be {only!r} {levels} times."
            )
        self._require_groups()

    @property
    def downsampling(self) -> int:
        """Pixels along a side for each latent along it."""
        return 2 ** (len(self.block_out_channels) - 1)
