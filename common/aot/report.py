"""What is known of a program once it is compiled."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from rich.table import Table

from common.aot.collectives import Collectives
from common.aot.roofline import Roofline, roofline

GIB = 2**30


@dataclass(frozen=True)
class Memory:
    """HBM of one device, in bytes.

    Attributes:
      arguments: Weights, caches and state.
      outputs: The state after the call; `reused` of them take the arguments' place.
      temporary: Everything in between.
      peak: The most at any time.
      available: What a program may use; None where the compiler does not tell.
    """

    arguments: int
    outputs: int
    reused: int
    temporary: int
    peak: int
    available: int | None

    @classmethod
    def of(cls, stats: Any, available: float | None) -> "Memory":
        """Read what `compiled.memory_analysis()` gives; `available` in GiB."""
        return cls(
            arguments=stats.argument_size_in_bytes,
            outputs=stats.output_size_in_bytes,
            reused=stats.alias_size_in_bytes,
            temporary=stats.temp_size_in_bytes,
            peak=stats.peak_memory_in_bytes,
            available=None if available is None else round(available * GIB),
        )


@dataclass(frozen=True)
class ProgramReport:
    """One compiled training call.

    Attributes:
      method: Its name.
      topology: Such as "v5e:2x4".
      device: What the devices call themselves.
      mesh: Devices along each axis.
      updates_per_call: Updates in the compiled call.
      trace_seconds: Tracing and lowering.
      compile_seconds: The compiler's.
      memory: Of one device.
      flops: Of one update on one device, matrix products and convolutions; see `count_flops`.
      traffic: Bytes between one device and its HBM in one update; see `hbm_bytes`.
      collectives: Communication of one update, by kind.
      config: The resolved config.
    """

    method: str
    topology: str
    device: str
    mesh: Mapping[str, int]
    updates_per_call: int
    trace_seconds: float
    compile_seconds: float
    memory: Memory
    flops: int
    traffic: int
    collectives: tuple[Collectives, ...]
    config: Mapping[str, Any]

    @property
    def roofline(self) -> Roofline | None:
        """The least time of an update; None where the chip's rates are not known."""
        return roofline(self.topology, self.flops, self.traffic, self.collectives)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as `--report` writes it."""
        versions = {name: version(name) for name in ("jax", "jaxlib", "libtpu")}
        bounds = self.roofline and {
            **dataclasses.asdict(self.roofline),
            "seconds": self.roofline.seconds,
            "efficiency": self.roofline.efficiency,
        }
        return {**dataclasses.asdict(self), "roofline": bounds, "versions": versions}

    def table(self) -> Table:
        """Return the table for the terminal."""
        axes = " x ".join(f"{name} {size}" for name, size in self.mesh.items())
        table = Table(
            title=f"{self.method} on {self.topology} ({self.device}; mesh {axes})",
            show_header=False,
        )
        table.add_column()
        table.add_column(justify="right")
        memory = self.memory
        limit = "" if memory.available is None else f" of {memory.available / GIB:.2f}"
        table.add_row("HBM peak per device", f"{_gib(memory.peak)}{limit} GiB")
        for name in ("arguments", "outputs", "reused", "temporary"):
            table.add_row(f"  {name}", f"{_gib(getattr(memory, name))} GiB")
        table.add_row("TFLOP per device and update", f"{self.flops / 1e12:.4g}")
        table.add_row("HBM traffic per device and update", f"{_gib(self.traffic)} GiB")
        for group in self.collectives:
            traffic = f"{group.sent:,.0f} bytes in {group.runs:.4g} runs"
            table.add_row(f"{group.kind}, {group.count} of", traffic)
        if not self.collectives:
            table.add_row("collectives", "none")
        if bounds := self.roofline:
            intensity = f"{bounds.intensity:.4g} (ridge {bounds.ridge:.4g})"
            table.add_row("FLOP per byte of HBM traffic", intensity)
            table.add_row("least time of an update", f"{_seconds(bounds.seconds)}")
            for name in ("compute", "memory", "network"):
                table.add_row(f"  {name}", _seconds(getattr(bounds, name)))
            table.add_row("predicted weak scaling", f"{bounds.efficiency:.2%}")
        table.add_row("trace and lower", f"{self.trace_seconds:.1f} s")
        table.add_row("compile", f"{self.compile_seconds:.1f} s")
        return table


def _gib(size: int) -> str:
    return f"{size / GIB:.3f}"


def _seconds(duration: float) -> str:
    return f"{duration * 1e3:.4g} ms"
