"""Arrays without NaN or infinity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.errors import UserError
from common.text import some

# Bits of the exponent. A number is NaN or infinite where all of them are set.
_EXPONENTS = {
    "float16": np.uint16(0x7C00),
    "bfloat16": np.uint16(0x7F80),
    "float32": np.uint32(0x7F800000),
    "float64": np.uint64(0x7FF0000000000000),
}
_BLOCK = 2**17  # numbers that fit into a processor's cache


def require_finite(
    arrays: Mapping[str, Any], where: str, remedy: str = "copy or compute it again"
) -> None:
    """Refuse arrays with NaN or infinity.

    Args:
      arrays: By name; whole numbers, booleans and text always pass.
      where: What holds them, such as the file's name in quotes.
      remedy: Ends the sentence.

    Raises:
      UserError: The sentence names the arrays.
    """
    refuse_not_finite(not_finite(arrays), where, remedy)


def refuse_not_finite(names: Sequence[str], where: str, remedy: str) -> None:
    """Refuse named arrays, if there are any: see `require_finite`."""
    if names:
        raise UserError(f"{where} holds NaN or infinite numbers in {some(names)}: {remedy}.")


def not_finite(arrays: Mapping[str, Any]) -> list[str]:
    """Return the names of the arrays that hold NaN or infinity."""
    return [name for name, array in arrays.items() if not is_finite(array)]


def is_finite(array: Any) -> bool:
    """Return whether all numbers are finite, at the speed of memory."""
    array = np.asarray(array)
    exponent = _EXPONENTS.get(array.dtype.name)
    if exponent is None or not array.dtype.isnative:
        return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())
    bits = np.ascontiguousarray(array).reshape(-1).view(exponent.dtype)
    blocks = (bits[start : start + _BLOCK] for start in range(0, len(bits), _BLOCK))
    return all((block & exponent).max() < exponent for block in blocks)
