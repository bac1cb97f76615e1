"""How large the parts of a model may be: bounds that keep a wrong configuration from hanging."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from common.records import Record

REMEDY = "copy the file again from where the model came from, or give a model of this kind"

# From, to; published models lie far inside.
BOUNDS = {
    "blocks": (1, 100),
    "channels": (1, 1024),
    "heads": (1, 4096),
    "image_size": (1, 8192),
    "layers": (1, 1000),
    "mlp_width": (1, 2**20),
    "patch_size": (1, 8192),
    "positions": (3, 2**20),
    "rotary": (2, 65536),
    "token": (-1, 2**22),
    "vocab_size": (1, 2**22),
    "width": (1, 65536),
}

# Fields of towers' configurations whose bounds have another name.
_BOUNDED = {"layers": "blocks", "projection": "width"}


def opened(content: Mapping[str, Any] | Record, name: str) -> Record:
    """Return the fields of a configuration file, of which perhaps only the content is at hand."""
    return content if isinstance(content, Record) else Record(content, name, REMEDY)


def size(record: Record, name: str, kind: str, default: Any) -> Any:
    """Return a size; a list of one number and a square of two equal ones are that number.

    Args:
      record: Holds it.
      name: Of the field.
      kind: A key of `BOUNDS`.
      default: Where the field is absent or null.

    Raises:
      UserError: It is another kind of value, or out of bounds.
    """
    value = record.content.get(name)
    if isinstance(value, Mapping):
        value = list(value.values()) if set(value) == {"height", "width"} else value
    if isinstance(value, list) and 0 < len(value) <= 2 and value[0] == value[-1]:
        record = Record(
            {**record.content, name: value[0]}, record.where, record.remedy, record.place
        )
    low, high = BOUNDS[kind]
    return record.integer(name, low, high, default)


def require_bounds(*towers: Any) -> None:
    """Refuse sizes that no tower is built of, as those of configurations are refused.

    Raises:
      ValueError: A field of a tower's configuration is out of bounds.
    """
    for tower in towers:
        for field, value in vars(tower).items():
            kind = _BOUNDED.get(field, field)
            if kind not in BOUNDS:
                continue
            least, most = BOUNDS[kind]
            for number in value if isinstance(value, tuple) else (value,):
                if not least <= number <= most:
                    raise ValueError(f"{field} {number} is not from {least} to {most}")


def require(record: Record, allowed: Mapping[str, Sequence[Any]]) -> None:
    """Refuse fields that would make another function; absent, null and equal values pass.

    Args:
      record: Holds them.
      allowed: By name the values that are supported.

    Raises:
      UserError: It names the field, the value and the supported values.
    """
    for name, values in allowed.items():
        value = record.content.get(name)
        if value is not None and not any(value == x for x in values):
            record.refuse(name, " or ".join(map(repr, values)) or "supported")


def require_known(record: Record, known: Collection[str]) -> None:
    """Refuse fields of an unknown meaning, unless they are null or false.

    Raises:
      UserError: It names the first one.
    """
    for name, value in record.content.items():
        harmless = value is None or value is False or name.startswith("_")
        if name not in known and not harmless:
            record.refuse(name, "a field that is known here")
