"""Model configurations, read from and written to diffusers' `config.json`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from common.diffusion.supported import UNET_FIXED, VAE_FIXED, check_supported
from common.errors import UserError
from common.records import Record
from common.sizes import BOUNDS, opened, size

_LEVELS = 8
"""Most levels of a network; each halves the picture."""


def _size(kind: str) -> Callable[[Record, str], Any]:
    return lambda record, name: size(record, name, kind, None)


def _sizes(kind: str) -> Callable[[Record, str], Any]:
    return lambda record, name: record.integers(name, None, *BOUNDS[kind], default=None)


def _heads(record: Record, name: str) -> Any:
    """Read one number for all levels, or one for each."""
    several = isinstance(record.content[name], list | tuple)
    return _sizes("heads")(record, name) if several else _size("heads")(record, name)


def _names(record: Record, name: str) -> Any:
    return record.strings(name, default=None)


# How each field is read.
_KINDS: Mapping[str, Callable[[Record, str], Any]] = {
    "attention_head_dim": _heads,
    "block_out_channels": _sizes("width"),
    "cross_attention_dim": _size("width"),
    "down_block_types": _names,
    "in_channels": _size("channels"),
    "latent_channels": _size("channels"),
    "layers_per_block": _size("blocks"),
    "norm_num_groups": _size("width"),
    "out_channels": _size("channels"),
    "sample_size": _size("image_size"),
    "scaling_factor": lambda record, name: record.number(name, 1e-6, 1e6, default=None),
    "up_block_types": _names,
    "use_linear_projection": lambda record, name: record.boolean(name, default=None),
}


class _DiffusersConfig:
    """Reading and writing shared by the two configurations; mixed into dataclasses."""

    _class_name: ClassVar[str]
    _file: ClassVar[str]
    _fixed: ClassVar[Mapping[str, Any]]

    @classmethod
    def _fields(cls, raw: Mapping[str, Any] | Record) -> dict[str, Any]:
        """Return the dataclass's fields of a `config.json`, once the others are checked."""
        record = opened(raw, cls._file)
        names = {field.name for field in dataclasses.fields(cls)}
        check_supported(record, names, cls._fixed)
        fields = {name: _KINDS[name](record, name) for name in names & record.content.keys()}
        if len(fields.get("block_out_channels") or ()) > _LEVELS:
            record.refuse("block_out_channels", f"a list of up to {_LEVELS} numbers")
        # Null stands for the default.
        return {name: value for name, value in fields.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as diffusers' `config.json` holds them, with its class name."""
        fields = {"_class_name": self._class_name, **dataclasses.asdict(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}

    def _require(self, condition: bool, sentence: str) -> None:
        if not condition:
            raise UserError(f"{self._class_name} config: {sentence}")

    def _require_groups(self) -> None:
        self._require(len(self.block_out_channels) > 0, "block_out_channels is empty.")
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
    _file = "unet/config.json"
    _fixed = UNET_FIXED

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | Record) -> "UNetConfig":
        """Read diffusers' `unet/config.json`.

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
    _file = "vae/config.json"
    _fixed = VAE_FIXED

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | Record) -> "VAEConfig":
        """Read diffusers' `vae/config.json`.

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
