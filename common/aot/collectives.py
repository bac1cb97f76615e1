"""Communication in a compiled program, read from its text."""

import math
import re
from dataclasses import dataclass

_KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)
# "%name = f32[4,8]{1,0:T(8,128)} all-reduce(%operand), ..."; the shape may be a tuple.
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?(%?[\w.-]+) = (\(.*?\)|\S+) ([a-z][\w-]*)\((.*)$")
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([\d,<= ]*)\]")
_SIZE = re.compile(r"\d+")
_OPERAND = re.compile(r"%[\w.-]+")
_LAYOUT = re.compile(r"\{[^{}]*\}")
_DIGITS = re.compile(r"[a-z]+(\d+)")


@dataclass(frozen=True)
class Collectives:
    """All instructions of one kind.

    Attributes:
      kind: as XLA calls it, e.g. "all-reduce".
      count: instructions; one inside a loop counts once.
      bytes: what one device puts in or takes out, whichever is larger, summed over the
        instructions, each run once.
      largest: the largest single instruction's bytes.
    """

    kind: str
    count: int
    bytes: int
    largest: int


def collectives(hlo: str) -> tuple[Collectives, ...]:
    """Finds the collectives in the text of an optimised HLO module, by kind.

    An asynchronous pair is counted once, by its "-done" half.
    """
    sizes: dict[str, int] = {}
    found: dict[str, list[int]] = {}
    for line in hlo.splitlines():
        match = _INSTRUCTION.match(_LAYOUT.sub("", line))
        if match is None:
            continue
        name, shape, opcode, rest = match.groups()
        sizes[name] = result = shape_bytes(shape)
        kind = opcode.removesuffix("-done")
        if kind in _KINDS:
            operands = _OPERAND.findall(rest.partition(")")[0])
            given = sum(sizes.get(operand, 0) for operand in operands)
            done = opcode != kind  # Its operand is the pair's state, not data.
            found.setdefault(kind, []).append(result if done else max(result, given))
    return tuple(
        Collectives(kind, len(found[kind]), sum(found[kind]), max(found[kind]))
        for kind in _KINDS
        if kind in found
    )


def shape_bytes(shape: str) -> int:
    """Bytes of an HLO shape such as "bf16[2,3]" or "(f32[], s8[4])"."""
    return sum(
        math.ceil(math.prod(map(int, _SIZE.findall(sizes))) * _bits(dtype) / 8)
        for dtype, sizes in _ARRAY.findall(shape)
    )


def _bits(dtype: str) -> int:
    if dtype == "token":
        return 0
    digits = _DIGITS.match(dtype)
    return int(digits.group(1)) if digits else 8
