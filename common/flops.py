"""Arithmetic of a traced program, counted before the compiler sees it."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

# The second is the name before jax 0.9.
_MANUAL_AXES = ("newly_manual_axes", "manual_axes")


def count_flops(jaxpr: Jaxpr | ClosedJaxpr, tile: int = 1) -> int:
    """Return the operations of all matrix products and convolutions, on all devices together.

    A multiplication and an addition are two operations. Unlike the compiler's own count, which
    sees the body of a loop once, scans count as often as they run; of a conditional the most
    expensive branch counts, and the body of a `while` of unknown length once. Kernels count
    what they compute, padding included.

    Args:
      jaxpr: The program.
      tile: Side of the unit that multiplies matrices, a TPU's is 128 (v6e: 256). What is summed
        over and the columns of a product fill whole tiles there, in time if not in memory, so a
        product over heads of 40 takes as long as one over 128. 1 counts the operations alone.
    """
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_count(equation, tile) for equation in jaxpr.eqns)


def _count(equation: Any, tile: int) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _product(equation, tile)
    if name == "conv_general_dilated":
        return _convolution(equation, tile)
    inner = [count_flops(jaxpr, tile) for jaxpr in _jaxprs(params)]
    if name == "cond":
        return max(inner)
    return _repeats(name, params) * sum(inner)


def _product(equation: Any, tile: int) -> int:
    (contracted, _), (batch, _) = equation.params["dimension_numbers"]
    left, right = (each.aval.shape for each in equation.invars)
    summed = math.prod(left[axis] for axis in contracted)
    stacked = math.prod(left[axis] for axis in batch)
    rows, columns = (math.prod(shape) // (summed * stacked) for shape in (left, right))
    # The smaller factor lies in the unit, the rows of the larger one stream through it.
    rows, columns = max(rows, columns), min(rows, columns)
    return 2 * stacked * rows * _whole(columns, tile) * _whole(summed, tile)


def _convolution(equation: Any, tile: int) -> int:
    params, kernel = equation.params, equation.invars[1].aval
    outputs = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
    # A dilated input is mostly zeros, which nobody multiplies.
    zeros = math.prod(params["lhs_dilation"])
    places = equation.outvars[0].aval.size // outputs
    return 2 * places * _whole(outputs, tile) * _whole(kernel.size // outputs, tile) // zeros


def _whole(length: int, tile: int) -> int:
    return -(-length // tile) * tile


def _repeats(name: str, params: Mapping[str, Any]) -> int:
    if name == "scan":
        return params["length"]
    if name == "shard_map":  # Its body is one device's share.
        axes = next(params[key] for key in _MANUAL_AXES if key in params)
        return math.prod(params["mesh"].shape[axis] for axis in axes)
    if name == "pallas_call":
        return math.prod(params["grid_mapping"].grid)
    return 1


def _jaxprs(params: Mapping[str, Any]) -> Iterator[Jaxpr | ClosedJaxpr]:
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, Jaxpr | ClosedJaxpr):
                yield item
