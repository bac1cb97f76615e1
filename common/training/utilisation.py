"""How much of the chips' arithmetic a run uses: model FLOP utilisation (MFU)."""

from typing import Any

from jax.sharding import Mesh

from common.chips import chip_of
from common.flops import count_flops


class FlopMeter:
    """Compares the arithmetic of a run's updates with the peak rate of its devices.

    The peak is of bfloat16, whatever a run computes in. What is computed again to save memory
    counts as often as it is computed.

    Args:
      mesh: The run's devices.
      updates: Of one call.
    """

    def __init__(self, mesh: Mesh, updates: int) -> None:
        chip = chip_of(mesh.devices.flat[0].device_kind)
        self._peak = chip.flops * mesh.size if chip else None
        self._updates = updates
        self._flops: float | None = None

    def count(self, call: Any, *arguments: Any) -> None:
        """Count the operations of a jitted call, once, and not where the peak is not known.

        The call that follows with the same arguments finds the trace that is made here.
        """
        if self._peak and self._flops is None:
            self._flops = count_flops(call.trace(*arguments).jaxpr) / self._updates

    def utilisation(self, speed: float | None) -> float | None:
        """Return the share of the peak that a number of updates per second comes to.

        None where the speed or the peak is not known.
        """
        if not (speed and self._flops and self._peak):
            return None
        return speed * self._flops / self._peak
