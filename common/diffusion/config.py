"""Model configurations, read from and written to diffusers' `config.json`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from common.diffusion.supported import UNET_FIXED, VAE_FIXED, check_supported
from common.errors import UserError

_BLOCKS = frozenset({"block_out_channels", "down_block_types", "up_block_types"})


class _DiffusersConfig:
    """Reading and writing shared by the two configurations; mixed into dataclasses."""

    _class_name: ClassVar[str]
    _fixed: ClassVar[Mapping[str, Any]]
    _per_level: ClassVar[frozenset[str]]

    @classmethod
    def _fields(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The dataclass's own fields of a `config.json`, once the rest is found harmless."""
        names = {field.name for field in dataclasses.fields(cls)}
        numbers = names - cls._per_level
        check_supported(
            cls._class_name, raw, numbers=numbers, lists=cls._per_level, fixed=cls._fixed
        )
        own = {name: raw[name] for name in names & raw.keys()}
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
    _fixed = UNET_FIXED
    _per_level = _BLOCKS | {"attention_head_dim"}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "UNetConfig":
        """Reads diffusers' `unet/config.json`.

        Raises:
          UserError: a field has a value that the model does not support, or the fields
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
    _fixed = VAE_FIXED
    _per_level = _BLOCKS

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "VAEConfig":
        """Reads diffusers' `vae/config.json`.

        Raises:
          UserError: a field has a value that the model does not support.
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
