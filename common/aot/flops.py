"""Arithmetic of a traced program, counted before the compiler sees it."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

# The second is the name before jax 0.9.
_MANUAL_AXES = ("newly_manual_axes", "manual_axes")


def count_flops(jaxpr: Jaxpr | ClosedJaxpr) -> int:
    """Return the operations of all matrix products and convolutions, on all devices together.

    A multiplication and an addition are two operations. Unlike the compiler's own count, which
    sees the body of a loop once, scans count as often as they run; of a conditional the most
    expensive branch counts, and the body of a `while` of unknown length once. Kernels count
    what they compute, padding included.
    """
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    return sum(_count(equation) for equation in jaxpr.eqns)


def _count(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        lengths = [equation.invars[0].aval.shape[axis] for axis in contracted]
        return 2 * equation.outvars[0].aval.size * math.prod(lengths)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        outputs = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        # A dilated input is mostly zeros, which nobody multiplies.
        zeros = math.prod(params["lhs_dilation"])
        return 2 * equation.outvars[0].aval.size * (kernel.size // outputs) // zeros
    inner = [count_flops(jaxpr) for jaxpr in _jaxprs(params)]
    if name == "cond":
        return max(inner)
    return _repeats(name, params) * sum(inner)


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
