"""Model configurations, read from and written to diffusers' `config.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from common.errors import UserError

# Fields that change the architecture and that only have one supported value. A file may
# leave them out (older ones do); any other value is refused rather than ignored.
_UNET_FIXED: Mapping[str, Any] = {
    "act_fn": "silu",
    "addition_embed_type": None,
    "addition_time_embed_dim": None,
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
    "projection_class_embeddings_input_dim": None,
    "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False,
    "resnet_time_scale_shift": "default",
    "reverse_transformer_layers_per_block": None,
    "time_cond_proj_dim": None,
    "time_embedding_act_fn": None,
    "time_embedding_dim": None,
    "time_embedding_type": "positional",
    "timestep_post_act": None,
    "transformer_layers_per_block": 1,
}
_VAE_FIXED: Mapping[str, Any] = {
    "act_fn": "silu",
    "latents_mean": None,
    "latents_std": None,
    "mid_block_add_attention": True,
    "shift_factor": None,
    "use_post_quant_conv": True,
    "use_quant_conv": True,
}
# Without meaning here: softmax is always float32, and the caller chooses the dtype.
_IGNORED = frozenset({"addition_embed_type_num_heads", "force_upcast", "upcast_attention"})
_BLOCKS = frozenset({"block_out_channels", "down_block_types", "up_block_types"})


class _DiffusersConfig:
    """Reading and writing shared by the two configurations; mixed into dataclasses."""

    _class_name: ClassVar[str]
    _fixed: ClassVar[Mapping[str, Any]]
    _per_level: ClassVar[frozenset[str]]

    @classmethod
    def _supported(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The dataclass's own fields of a `config.json`, once the rest is found harmless."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name, value in raw.items():
            if name in cls._fixed and value != cls._fixed[name]:
                raise UserError(
                    f"{cls._class_name} config: {name}={value!r} is not supported; only "
                    f"{cls._fixed[name]!r} is, as in Stable Diffusion 1.x and 2.x."
                )
            unknown = name not in known | cls._fixed.keys() | _IGNORED
            if unknown and not name.startswith("_") and value not in (None, False):
                raise UserError(f"{cls._class_name} config: {name}={value!r} is not supported.")
            if name in known - cls._per_level and not isinstance(value, (int, float)):
                raise UserError(f"{cls._class_name} config: {name}={value!r} is no number.")
        own = {name: raw[name] for name in known & raw.keys()}
        return {k: tuple(v) if isinstance(v, list) else v for k, v in own.items()}

    def to_dict(self) -> dict[str, Any]:
        """The fields as diffusers' `config.json` holds them, with its class name."""
        fields = {"_class_name": self._class_name, **dataclasses.asdict(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}

    def _require(self, condition: bool, sentence: str) -> None:
        if not condition:
            raise UserError(f"{self._class_name} config: {sentence}")

    def _require_groups(self) -> None:
        self._require(
            not any(channels % self.norm_num_groups for channels in self.block_out_channels),
            f"norm_num_groups={self.norm_num_groups} must divide each of "
            f"block_out_channels={self.block_out_channels}.",
        )


@dataclasses.dataclass(frozen=True)
class UNetConfig(_DiffusersConfig):
    """Shape of a `UNet`; the fields carry diffusers' names.

    Attributes:
      sample_size: side of the square latents the model was trained on.
      attention_head_dim: the number of HEADS per level, in spite of the name, which is a
        mistake that diffusers keeps for its published files (huggingface/diffusers#2011).
        One number stands for all levels: 8 in SD 1.x; [5, 10, 20, 20] in SD 2.x.
      use_linear_projection: how the files store the projections around the transformer
        blocks: as 1x1 convolutions (SD 1.x) or as linear maps (SD 2.x).
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

    _class_name = "UNet2DConditionModel"
    _fixed = _UNET_FIXED
    _per_level = _BLOCKS | {"attention_head_dim"}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "UNetConfig":
        """Reads diffusers' `unet/config.json`.

        Raises:
          UserError: a field has a value that the model does not support, or the fields
            contradict each other.
        """
        return cls(**cls._supported(raw))

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
            and not any(
                c % n for c, n in zip(self.block_out_channels, self.heads, strict=True)
            ),
            f"attention_head_dim={self.attention_head_dim!r}, the number of heads, must divide "
            f"block_out_channels={self.block_out_channels} level by level.",
        )
        self._require_groups()

    @property
    def heads(self) -> tuple[int, ...]:
        """Attention heads of each level, outermost first."""
        if isinstance(self.attention_head_dim, tuple):
            return self.attention_head_dim
        return (self.attention_head_dim,) * len(self.block_out_channels)


@dataclasses.dataclass(frozen=True)
class VAEConfig(_DiffusersConfig):
    """Shape of an `AutoencoderKL`; the fields carry diffusers' names.

    Attributes:
      scaling_factor: what callers multiply latents with after encoding (and divide by before
        decoding) to give them unit variance.
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

    _class_name = "AutoencoderKL"
    _fixed = _VAE_FIXED
    _per_level = _BLOCKS

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "VAEConfig":
        """Reads diffusers' `vae/config.json`.

        Raises:
          UserError: a field has a value that the model does not support.
        """
        return cls(**cls._supported(raw))

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
