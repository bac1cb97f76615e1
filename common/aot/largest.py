"""The largest value of a config's field, such as the batch, with which the program fits."""

import jax
from ml_collections import ConfigDict

from common.aot.program import compile_for
from common.aot.report import GIB, ProgramReport
from common.aot.topology import DoesNotFit
from common.config import changed, flatten
from common.errors import UserError
from common.progress import say


def largest(config: ConfigDict, topology: str, field: str) -> ProgramReport:
    """Compile with one value of `field` after the other, doubling and then bisecting.

    Tried are multiples of the config's own value, so that what shares it evenly still can; if
    that value does not fit, its halves. Each trial takes as long as any compilation.

    Args:
      config: The config; all but the field stays as it is.
      topology: Such as "v5e:2x4".
      field: Dotted name of a whole number.

    Returns:
      The report of the largest program that fits. A field that no longer matters, e.g. a batch of
      all examples, is not raised further.

    Raises:
      UserError: There is no such field, or a program is refused for another reason than memory.
      DoesNotFit: Not even the value 1 fits.
    """
    start = flatten(config).get(field)
    if type(start) is not int or start < 1:
        raise UserError(
            f"--largest={field} is not a field of the config that holds a whole number above 0."
        )
    unit, best, failed = _halve(config, topology, field, start)
    # In units, of which `failed` need not be a whole number.
    fits, fails = 1, None if failed is None else -(-failed // unit)
    while fails is None or fails - fits > 1:
        times = 2 * fits if fails is None else (fits + fails) // 2
        try:
            report = _try(config, topology, field, unit * times)
        except DoesNotFit:
            fails = times
            continue
        if fails is None and _cost(report) == _cost(best):
            say(f"{field}={unit * times} is the same program as {field}={unit * fits}")
            break
        fits, best = times, report
    return best


def _halve(
    config: ConfigDict, topology: str, field: str, value: int, failed: int | None = None
) -> tuple[int, ProgramReport, int | None]:
    """Return the first of `value`, its half, ... that fits, its report, and the last that fails."""
    try:
        return value, _try(config, topology, field, value), failed
    except DoesNotFit:
        if value == 1:
            raise
    return _halve(config, topology, field, value // 2, failed=value)


def _cost(report: ProgramReport) -> tuple[int, int]:
    return report.flops, report.memory.peak


def _try(config: ConfigDict, topology: str, field: str, value: int) -> ProgramReport:
    try:
        report = compile_for(changed(config, {field: value}), topology)
    except DoesNotFit as error:
        say(f"{field}={value} would need {error.needed:.2f} of {error.available:.2f} GiB")
        raise
    finally:
        jax.clear_caches()
    say(f"{field}={value} fits, {report.memory.peak / GIB:.2f} GiB at its peak")
    return report
