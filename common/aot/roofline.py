"""The least time that an update can take, by the chip's peak rates (Williams et al., 2009)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from common.aot.collectives import Collectives
from common.chips import CHIPS, Chip, sides

HOP = 1e-6
"""Seconds from a chip to its neighbour ("How to Scale Your Model", part 3)."""

_PASSES = {"all-reduce": 2}  # A reduce-scatter and an all-gather; one for any other kind.


@dataclass(frozen=True)
class Roofline:
    """Bounds of one update on one chip; nothing here was timed.

    Attributes:
      intensity: Operations per byte between HBM and the chip.
      ridge: The chip's own; below it HBM is the bound, above it arithmetic.
      compute: Seconds of the arithmetic at the bfloat16 peak.
      memory: Seconds of the traffic with HBM.
      network: Seconds of the collectives, one after the other.
    """

    intensity: float
    ridge: float
    compute: float
    memory: float
    network: float

    @property
    def work(self) -> float:
        """Seconds of what a chip does by itself, arithmetic and HBM overlapping."""
        return max(self.compute, self.memory)

    @property
    def seconds(self) -> float:
        """Seconds of the update, work and collectives one after the other."""
        return self.work + self.network

    @property
    def efficiency(self) -> float:
        """Part of the update's time that its work would take on one chip alone: weak scaling."""
        return self.work / self.seconds


def roofline(
    topology: str, flops: int, traffic: int, collectives: Sequence[Collectives]
) -> Roofline | None:
    """Return the bounds of a program; None for a generation whose rates are not in `CHIPS`.

    Args:
      topology: Such as "v5e:2x4".
      flops: Of an update on one device.
      traffic: Bytes between HBM and one device in an update.
      collectives: Of an update.
    """
    generation = topology.partition(":")[0]
    if generation not in CHIPS:
        return None
    chip, shape = CHIPS[generation], sides(topology)
    return Roofline(
        intensity=flops / traffic if traffic else float("inf"),
        ridge=chip.ridge,
        compute=flops / chip.flops,
        memory=traffic / chip.hbm,
        network=math.fsum(_seconds(group, chip, shape) for group in collectives),
    )


def _seconds(group: Collectives, chip: Chip, shape: Sequence[int]) -> float:
    """Return the seconds of all collectives of a kind in an update, without wraparound.

    A chip in a corner has one link along each side that is longer than one; the farthest chip is
    as many hops away as the sides say.
    """
    links = sum(side > 1 for side in shape) or 1
    hops = sum(side - 1 for side in shape)
    passes = _PASSES.get(group.kind, 1)
    return passes * (group.sent / (chip.link * links) + group.runs * hops * HOP)
