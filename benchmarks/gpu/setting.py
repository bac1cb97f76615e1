"""What every part of `benchmarks.on_gpu` is told, and what it yields."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.text import printable

GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """How a part measures.

    Attributes:
      tiny: Whether networks are tiny, to try the script out.
      device: PyTorch's name of the device: "cuda" or "cpu".
      work: A folder in which one part leaves what another compares with.
      seconds: Least time of one measurement.
    """

    tiny: bool
    device: str
    work: Path
    seconds: float

    @property
    def repeats(self) -> int:
        """Measurements of which a row has the median."""
        return 1 if self.tiny else 3


Row = dict[str, Any]
"""A row of the part's table: column to value; "error" says why others are missing."""

Measure = Callable[[Setting], Iterator[Row | str]]
"""A part: yields rows as soon as they are measured, and sentences to stand below the table."""


def reason(error: BaseException) -> str:
    """Return an error's name and first line, for a table."""
    lines = str(error).strip().splitlines()
    return printable(f"{type(error).__name__}: {lines[0] if lines else ''}"[:200])


def torch_peak(device: str) -> float | None:
    """Return GiB that PyTorch held at most since the last call, and begin anew."""
    if device == "cpu":
        return None
    import torch

    peak = torch.cuda.max_memory_allocated() / GIB
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return peak


def program_memory(memory: Any) -> float:
    """Return GiB that a compiled program holds at once, its arguments included."""
    total = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return (total + memory.temp_size_in_bytes - memory.alias_size_in_bytes) / GIB
