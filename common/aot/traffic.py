"""Bytes between a chip's HBM and its core, read from the text of the scheduled program."""

import re
from collections.abc import Mapping

from common.aot.hlo import Computation, Instruction, Module, parse, shape_bytes, total

# They give a name to what is there, or are counted by what they call.
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("while", "conditional", "call", "async-start", "async-update", "async-done"),
}
# Calls of the compiler that reserve memory, or say something about what is there.
_HOLLOW = re.compile(
    r'custom_call_target="(AllocateBuffer|ConcatBitcast|AssumeGatherIndicesInBound|Sharding)"'
)
_SLICES = ("dynamic-slice", "slice", "gather")
_UPDATES = {"dynamic-update-slice": 1, "scatter": 2}  # and the operand that holds the update
_BYTES = "bytes"


def hbm_bytes(hlo: str) -> int:
    """Return the bytes that one device reads from HBM and writes to it in a program.

    What a fusion keeps to itself and what the compiler placed in another memory is not counted,
    nor what of an array a slice leaves out; loops count as often as they run. A kernel counts
    its arguments and results once, even if it reads them again.
    """
    return sum(_module_bytes(module) for module in parse(hlo))


def _module_bytes(module: Module) -> int:
    def measure(computation: Computation, instruction: Instruction) -> Mapping[str, int]:
        if instruction.opcode in _FREE or _HOLLOW.search(instruction.rest):
            return {}
        moved = _read(module, computation, instruction) + _written(module, computation, instruction)
        return {_BYTES: moved}

    return total(module, measure, inside_fusions=False)[_BYTES]


def _read(module: Module, computation: Computation, instruction: Instruction) -> int:
    """Return the bytes of the operands in HBM that an instruction reads."""
    if instruction.opcode.endswith("-done"):
        return 0
    shapes = [computation[name].shape for name in instruction.operands if name in computation]
    return sum(
        min(shape_bytes(shape, hbm_alone=True), _used(module, instruction, index, shape))
        for index, shape in enumerate(shapes)
    )


def _used(module: Module, instruction: Instruction, index: int, shape: str) -> int:
    """Return the bytes of an operand that matter to an instruction."""
    if instruction.opcode in _SLICES:
        return shape_bytes(instruction.shape) if index == 0 else shape_bytes(shape)
    if instruction.opcode in _UPDATES:
        return 0 if index == 0 else shape_bytes(shape)
    if instruction.opcode != "fusion":
        return shape_bytes(shape)
    (name,) = instruction.called("calls")
    fused = module.computations.get(name, {})
    return sum(_used_inside(module, fused, parameter) for parameter in _parameters(fused, index))


def _used_inside(module: Module, fused: Computation, source: str) -> int:
    used = 0
    for instruction in fused.values():
        for index, operand in enumerate(instruction.operands):
            if operand != source:
                continue
            if instruction.opcode == "bitcast":
                used += _used_inside(module, fused, instruction.name)
            else:
                used += _used(module, instruction, index, fused[source].shape)
    return used


def _parameters(fused: Computation, index: int) -> list[str]:
    return [
        instruction.name
        for instruction in fused.values()
        if instruction.opcode == "parameter" and instruction.rest.partition(")")[0] == str(index)
    ]


def _written(module: Module, computation: Computation, instruction: Instruction) -> int:
    """Return the bytes of an instruction's result in HBM; of an update in place only its own."""
    if instruction.opcode.endswith("-start"):
        return 0
    written = shape_bytes(instruction.shape, hbm_alone=True)
    if instruction.opcode in _UPDATES:
        return written - _untouched(computation, instruction)
    if instruction.opcode == "fusion":
        (name,) = instruction.called("calls")
        written -= _untouched_inside(module.computations.get(name, {}))
    return max(written, 0)


def _untouched_inside(fused: Computation) -> int:
    root = next((instruction for instruction in fused.values() if instruction.root), None)
    if root is None:
        return 0
    results = [fused[name] for name in root.operands] if root.opcode == "tuple" else [root]
    untouched = 0
    for result in results:
        while result.opcode == "bitcast":
            result = fused[result.operands[0]]
        untouched += _untouched(fused, result)
    return untouched


def _untouched(computation: Computation, update: Instruction) -> int:
    """Return the bytes in HBM that an update in place leaves as they are."""
    if update.opcode not in _UPDATES:
        return 0
    new = computation[update.operands[_UPDATES[update.opcode]]]
    return max(shape_bytes(update.shape, hbm_alone=True) - shape_bytes(new.shape), 0)
