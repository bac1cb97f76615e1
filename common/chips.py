"""Peak rates of TPU chips, as their vendor states them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """One chip; to JAX, one device.

    Attributes:
      flops: bfloat16 operations per second.
      hbm: Bytes per second between HBM and the chip.
      link: Bytes per second that one link to a neighbour carries in one direction.
    """

    flops: float
    hbm: float
    link: float

    @property
    def ridge(self) -> float:
        """Operations per byte from which on arithmetic takes longer than HBM."""
        return self.flops / self.hbm


# Google Cloud's documentation, docs.cloud.google.com/tpu/docs/{v5e,v5p,v6e}, read in 2026. There
# the interconnect is one figure for all links of a chip in both directions: 400, 1200, 800 GB/s.
CHIPS: Mapping[str, Chip] = {
    "v5e": Chip(flops=197e12, hbm=819e9, link=400e9 / 4 / 2),
    "v5p": Chip(flops=459e12, hbm=2765e9, link=1200e9 / 6 / 2),
    "v6e": Chip(flops=918e12, hbm=1638e9, link=800e9 / 4 / 2),
}
"""By generation, as topologies name it."""

GENERATIONS: Mapping[str, str] = {
    "TPU v5 lite": "v5e",
    "TPU v5e": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "TPU v6e": "v6e",
}
"""By what a device calls itself, jax's `device_kind`."""


def chip_of(device_kind: str) -> Chip | None:
    """Return the peak rates of a kind of device; None where they are not known."""
    return CHIPS.get(GENERATIONS.get(device_kind, ""))


def sides(name: str) -> list[int]:
    """Return how many chips a topology such as "v5e:2x4" has along each side."""
    return [int(side) for side in name.partition(":")[2].split("x")]
