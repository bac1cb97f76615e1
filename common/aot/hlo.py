"""The text of an optimised HLO module, and sums over what it runs."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_MODULE = re.compile(r"^HloModule ", re.MULTILINE)
_HEADER = re.compile(r"^(ENTRY )?(%[\w.-]+) .*\{$")
# "%name = f32[4,8]{1,0:T(8,128)} all-reduce(%operand), ..."; the shape may be a tuple.
_INSTRUCTION = re.compile(r"^\s+(ROOT )?(%[\w.-]+) = (\(.*?\)|\S+) ([a-z][\w-]*)\((.*)$")
# Behind a layout without "S(1)" or the like an array lies in HBM.
_LAYOUT = re.compile(r"(?<=\])\{[^{}]*\}")
_ELSEWHERE = "@"
_ARRAY = re.compile(r"\b([a-z][a-z0-9]*)\[([\d,<= ]*)\](@?)")
_SIZE = re.compile(r"\d+")
_NAME = re.compile(r"%[\w.-]+")
_DIGITS = re.compile(r"[a-z]+(\d+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_WHOLE_NUMBER = re.compile(r"[su]\d+\[\]")


@dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
      name: Such as "%fusion.3".
      root: Whether it is what its computation gives.
      shape: Of the result; see `shape_bytes`.
      opcode: Such as "fusion".
      operands: Names of instructions of the same computation.
      rest: The text behind the opening bracket.
    """

    name: str
    root: bool
    shape: str
    opcode: str
    operands: tuple[str, ...]
    rest: str

    def called(self, role: str) -> tuple[str, ...]:
        """Return the computations behind "role=%name" or "role={%name, %name}"."""
        match = re.search(rf"\b{role}=(%[\w.-]+|\{{[^}}]*\}})", self.rest)
        return tuple(_NAME.findall(match[1])) if match else ()


Computation = Mapping[str, Instruction]
"""Instructions by name, in the order of the schedule."""


@dataclass(frozen=True)
class Module:
    """A program.

    Attributes:
      computations: By name, a called one before those that call it.
      entry: The name of the one that is the program.
    """

    computations: Mapping[str, Computation]
    entry: str


Measure = Callable[[Computation, Instruction], Mapping[str, int]]


def parse(hlo: str) -> list[Module]:
    """Read the text of one or several modules."""
    return [_module(text) for text in _MODULE.split(hlo) if text.strip()]


def total(module: Module, measure: Measure, inside_fusions: bool) -> Counter[str]:
    """Return the sum of `measure` over the instructions that a module runs.

    A loop counts as often as it runs, where its condition says how often, and else once; of a
    conditional the branch of the largest sum counts.

    Args:
      module: The program.
      measure: What one instruction adds, by names of the caller's choice.
      inside_fusions: Whether the instructions inside of fusions are measured, too.
    """
    sums: dict[str, Counter[str]] = {}
    for name, computation in module.computations.items():
        sums[name] = counts = Counter()
        for instruction in computation.values():
            counts.update(measure(computation, instruction))
            if instruction.opcode == "fusion" and not inside_fusions:
                continue
            for repeats, bodies in _runs(module, instruction):
                branches = [sums[body] for body in bodies if body in sums]
                largest = max(branches, key=Counter.total, default=Counter())
                counts.update({key: repeats * value for key, value in largest.items()})
    return sums[module.entry]


def shape_bytes(shape: str, hbm_alone: bool = False) -> int:
    """Return the bytes of a shape such as "bf16[2,3]" or "(f32[], s8[4])".

    Args:
      shape: As an `Instruction` holds it.
      hbm_alone: Leaves out the arrays that lie in another memory.
    """
    return sum(
        math.ceil(math.prod(map(int, _SIZE.findall(sizes))) * _bits(dtype) / 8)
        for dtype, sizes, elsewhere in _ARRAY.findall(shape)
        if not (hbm_alone and elsewhere)
    )


def _module(text: str) -> Module:
    computations: dict[str, dict[str, Instruction]] = {}
    name = entry = ""
    for line in text.splitlines():
        if header := _HEADER.match(line):
            name = header[2]
            computations[name] = {}
            entry = name if header[1] else entry
        elif name and (instruction := _instruction(line)) is not None:
            computations[name][instruction.name] = instruction
    return Module(computations, entry)


def _instruction(line: str) -> Instruction | None:
    match = _INSTRUCTION.match(_LAYOUT.sub(_memory, line))
    if match is None:
        return None
    root, name, shape, opcode, rest = match.groups()
    operands = tuple(_NAME.findall(rest.partition(")")[0]))
    return Instruction(name, bool(root), shape, opcode, operands, rest)


def _memory(layout: re.Match[str]) -> str:
    return _ELSEWHERE if "S(" in layout[0] else ""


def _runs(module: Module, instruction: Instruction) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield how often an instruction runs one of some computations."""
    called = instruction.called
    match instruction.opcode:
        case "while":
            yield _trips(module, instruction), called("body")
            yield 1, called("condition")
        case "conditional":
            pair = called("true_computation") + called("false_computation")
            yield 1, called("branch_computations") or pair
        case "call":
            yield 1, called("to_apply")
        case "fusion" | "async-start":
            yield 1, called("calls")


def _trips(module: Module, loop: Instruction) -> int:
    """Return how often a loop runs: the one whole number that its condition compares with."""
    if match := _TRIPS.search(loop.rest):
        return int(match[1])
    numbers, waiting = set(), list(loop.called("condition"))
    while waiting:
        for instruction in module.computations.get(waiting.pop(), {}).values():
            waiting += instruction.called("calls")
            if instruction.opcode == "constant" and _WHOLE_NUMBER.match(instruction.shape):
                numbers.add(int(instruction.rest.partition(")")[0]))
    return max(numbers.pop(), 1) if len(numbers) == 1 else 1


def _bits(dtype: str) -> int:
    if dtype == "token":
        return 0
    digits = _DIGITS.match(dtype)
    return int(digits.group(1)) if digits else 8
