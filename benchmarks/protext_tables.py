"""The tables of `benchmarks.protext_step`."""

from collections.abc import Mapping
from typing import Any

from common.evaluation.tables import markdown_table

MIB = 2**20
NAMES = {"a": "PyTorch, the reference's step", "b": "JAX, plain", "c": "JAX, ours"}
COLUMNS = (
    "data set",
    "step",
    "s/step",
    "ratio",
    "GFLOP/step",
    "GFLOP/s",
    "of what the machine can",
    "GB/step by XLA's count",
    "XLA temporaries, MiB",
)
CASE = (
    "data set",
    "tower",
    "classes",
    "pairs",
    "T",
    "J",
    "losses and gradients agreed to",
    "the machine's matrix product, GFLOP/s",
    "at which (c) would take, s",
    "weights read, MiB",
    "compiling (c), s",
    "peak memory, GiB",
)


def step_rows(case: str, result: Mapping[str, Any]) -> list[list[str]]:
    """Return one data set's rows of the table of steps."""
    times, flops = result["seconds"], result["flops"]
    rows = []
    for name, title in NAMES.items():
        rate = flops[name] / times[name]
        row = [
            case,
            f"({name}) {title}",
            f"{times[name]:.4g}",
            f"{times['a'] / times[name]:.1f}",
            f"{flops[name] / 1e9:.4g}",
            f"{rate / 1e9:.3g}",
            f"{100 * rate / result['rate']:.0f} %",
        ]
        rest = ["", ""]
        if name in result["bytes"]:
            gigabytes, temporary = result["bytes"][name] / 1e9, result["temporary"][name] / MIB
            rest = [f"{gigabytes:.3g}", f"{temporary:.0f}"]
        rows.append([*row, *rest])
    return rows


def case_row(case: str, result: Mapping[str, Any]) -> list[str]:
    """Return what to know about a data set's comparison."""
    shape = (str(result[name]) for name in ("size", "classes", "pairs", "length", "depth"))
    return [
        case,
        *shape,
        f"{result['error']:.1e}",
        f"{result['rate'] / 1e9:.0f}",
        f"{result['flops']['c'] / result['rate']:.3g}",
        f"{result['weights'] / MIB:.0f}",
        f"{result['compile_seconds']:.1f}",
        f"{result['peak'] / 2**30:.1f}",
    ]


def show(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of steps, that of the comparisons, and the machines."""
    steps = [row for case, result in results.items() for row in step_rows(case, result)]
    cases = [case_row(case, result) for case, result in results.items()]
    machines = dict.fromkeys(result["where"] for result in results.values())
    return "\n\n".join([markdown_table(COLUMNS, steps), markdown_table(CASE, cases), *machines])
