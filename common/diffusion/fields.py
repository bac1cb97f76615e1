"""How the fields of diffusers' `config.json` are read and written."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from common.diffusion.supported import check_supported
from common.errors import UserError
from common.records import Record
from common.sizes import BOUNDS, opened, size

TEXT_TIME = "text_time"
"""The embedding of XL beside that of the time: of a pooled text and of six sizes."""

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


def _depth(record: Record, name: str) -> Any:
    """Read one number of transformer blocks for all levels, or one for each."""
    several = isinstance(record.content[name], list | tuple)
    return _sizes("blocks")(record, name) if several else _size("blocks")(record, name)


def _names(record: Record, name: str) -> Any:
    return record.strings(name, default=None)


# How each field is read.
_KINDS: Mapping[str, Callable[[Record, str], Any]] = {
    "addition_embed_type": lambda record, name: record.text(name, (TEXT_TIME,), default=None),
    "addition_time_embed_dim": _size("width"),
    "attention_head_dim": _heads,
    "block_out_channels": _sizes("width"),
    "cross_attention_dim": _size("width"),
    "down_block_types": _names,
    "in_channels": _size("channels"),
    "latent_channels": _size("channels"),
    "layers_per_block": _size("blocks"),
    "norm_num_groups": _size("width"),
    "out_channels": _size("channels"),
    "projection_class_embeddings_input_dim": _size("width"),
    "sample_size": _size("image_size"),
    "scaling_factor": lambda record, name: record.number(name, 1e-6, 1e6, default=None),
    "transformer_layers_per_block": _depth,
    "up_block_types": _names,
    "use_linear_projection": lambda record, name: record.boolean(name, default=None),
}


class DiffusersConfig:
    """Reading and writing shared by the two configurations; mixed into dataclasses."""

    _class_name: ClassVar[str]
    _file: ClassVar[str]
    _fixed: ClassVar[Mapping[str, Any]]
    _younger: ClassVar[Mapping[str, Any]]
    """Fields that files and fingerprints leave out where they have their usual value."""

    @classmethod
    def _fields(cls, raw: Mapping[str, Any] | Record) -> dict[str, Any]:
        """Return the dataclass's fields of a `config.json`, once the others are checked."""
        record = opened(raw, cls._file)
        names = {field.name for field in dataclasses.fields(cls)} & _KINDS.keys()
        check_supported(record, names, cls._fixed)
        fields = {name: _KINDS[name](record, name) for name in names & record.content.keys()}
        if len(fields.get("block_out_channels") or ()) > _LEVELS:
            record.refuse("block_out_channels", f"a list of up to {_LEVELS} numbers")
        # Null stands for the default.
        return {name: value for name, value in fields.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as diffusers' `config.json` holds them, with its class name."""
        fields = {"_class_name": self._class_name, **self._written()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}

    def __repr__(self) -> str:
        """Name the fields as fingerprints hold them: younger ones only where they are in use."""
        fields = ", ".join(f"{name}={value!r}" for name, value in self._written().items())
        return f"{type(self).__name__}({fields})"

    def _written(self) -> dict[str, Any]:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            name: value
            for name, value in fields.items()
            if name not in self._younger or value != self._younger[name]
        }

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
