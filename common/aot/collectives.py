"""Communication in a compiled program, read from its text."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.aot.hlo import Computation, Instruction, parse, shape_bytes, total

_KINDS = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "ragged-all-to-all",
    "collective-permute",
    "collective-broadcast",
)


@dataclass(frozen=True)
class Collectives:
    """All instructions of one kind.

    Attributes:
      kind: As XLA calls it, e.g. "all-reduce".
      count: Instructions; one inside a loop counts once.
      bytes: What one device puts in or takes out, whichever is larger, summed over the
        instructions, each run once.
      largest: The largest single instruction's bytes.
      runs: How often one of them is run in an update, on average over a call.
      sent: `bytes`, summed over the runs of an update.
    """

    kind: str
    count: int
    bytes: int
    largest: int
    runs: float
    sent: float


def collectives(hlo: str, updates: int = 1) -> tuple[Collectives, ...]:
    """Find the collectives in the text of an optimised HLO module, by kind.

    An asynchronous pair is counted once, by its "-done" half.

    Args:
      hlo: The text.
      updates: That the program makes.
    """
    modules = parse(hlo)
    sizes: dict[str, list[int]] = {}
    for module in modules:
        for computation in module.computations.values():
            for instruction in computation.values():
                if kind := _kind(instruction):
                    sizes.setdefault(kind, []).append(_bytes(computation, instruction))
    totals = [total(module, _measure, inside_fusions=True) for module in modules]
    return tuple(
        Collectives(
            kind,
            len(sizes[kind]),
            sum(sizes[kind]),
            max(sizes[kind]),
            sum(counts[f"{kind} runs"] for counts in totals) / updates,
            sum(counts[f"{kind} bytes"] for counts in totals) / updates,
        )
        for kind in _KINDS
        if kind in sizes
    )


def _kind(instruction: Instruction) -> str:
    kind = instruction.opcode.removesuffix("-done")
    return kind if kind in _KINDS else ""


def _bytes(computation: Computation, instruction: Instruction) -> int:
    result = shape_bytes(instruction.shape)
    if instruction.opcode.endswith("-done"):
        return result  # Its operand is the pair's state, not data.
    operands = [computation[name].shape for name in instruction.operands if name in computation]
    return max(result, sum(map(shape_bytes, operands)))


def _measure(computation: Computation, instruction: Instruction) -> Mapping[str, int]:
    kind = _kind(instruction)
    size = _bytes(computation, instruction) if kind else 0
    return {f"{kind} runs": 1, f"{kind} bytes": size} if kind else {}
