"""What every method needs of a TPU and sends over its network, at the papers' sizes.

    python -m benchmarks.aot_table [--only=REGEX] [--list] [--results=FILE.json]

Compiles the training steps ahead of time, for chips that need not be there. A row takes from a
minute to an hour of a CPU core. Finished rows are kept in the results file, so that the script may
be run piecewise; the Markdown tables of the rows that are finished come at the end.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks.aot_cases import Case, cases
from common.aot import DoesNotFit, compile_for
from common.aot.program import arguments
from common.aot.report import GIB
from common.aot.topology import topology_devices
from common.errors import run_command
from common.evaluation.tables import markdown_table
from common.files import read_json, write_json
from common.training import say
from common.training.mesh import make_mesh
from common.training.method import find_method

COLUMNS = (
    "slice",
    "settings",
    "HBM peak, GiB",
    "arguments, GiB",
    "GFLOP",
    "HBM traffic, GiB",
    "FLOP/byte",
    "collectives",
    "sent, bytes",
    "gradient, bytes",
    "least time, ms",
    "of it arithmetic, HBM, network, ms",
    "weak scaling (%)",
)


def measure(case: Case, corpus: str, override: str) -> dict[str, Any]:
    """Compile one case; what does not fit says how much it would need."""
    # What this refuses is known before the minutes of the compiler.
    config = case.config(corpus, override)
    gradient = gradient_bytes(config, topology_devices(case.topology)[0])
    try:
        report = compile_for(config, case.topology)
    except DoesNotFit as error:
        return {"needed": error.needed, "available": error.available}
    finally:
        jax.clear_caches()
    row = report.to_dict() | {"gradient": gradient}
    del row["config"]  # The case says it.
    return row


def gradient_bytes(config: ConfigDict, device: jax.Device) -> int:
    """Return size of the gradient of all that is trained on a device."""
    state, *_ = arguments(find_method(config), make_mesh(1, 1, [device]))
    leaves = jax.tree.leaves(state.trainable)
    return sum(np.prod(leaf.shape, dtype=int).item() * leaf.dtype.itemsize for leaf in leaves)


def check(case: Case, row: Mapping[str, Any]) -> None:
    """Check that MC-TI's classes share nothing and only spread weights are gathered."""
    method = case.program.split()[0]
    kinds = {op["kind"] for op in row.get("collectives", ())}
    sent = sum(op["sent"] for op in row.get("collectives", ()))
    if method == "mcti" and "gradient" in row and sent >= min(row["gradient"], 4096):
        raise AssertionError(f"{case.key} sends {sent} bytes of a {row['gradient']}-byte gradient")
    if method in ("mcti", "protext", "aape") and kinds - {"all-reduce"}:
        raise AssertionError(f"{case.key} has {', '.join(kinds)}")


def table_row(case: Case, row: Mapping[str, Any]) -> Sequence[str]:
    """Return the cells of one finished case."""
    names = [case.slice, case.settings]
    if "needed" in row:
        peak = f"does not fit: {row['needed']:.2f} of {row['available']:.2f}"
        return [*names, peak, *[""] * (len(COLUMNS) - 3)]
    memory, bounds = row["memory"], row["roofline"]
    parts = ", ".join(f"{bounds[name] * 1e3:.3g}" for name in ("compute", "memory", "network"))
    return [
        *names,
        f"{memory['peak'] / GIB:.2f} of {memory['available'] / GIB:.2f}",
        f"{memory['arguments'] / GIB:.2f}",
        f"{row['flops'] / 1e9:.4g}",
        f"{row['traffic'] / GIB:.3g}",
        f"{bounds['intensity']:.3g}",
        ", ".join(f"{op['count']} {op['kind']}" for op in row["collectives"]) or "none",
        f"{sum(op['sent'] for op in row['collectives']):,.0f}",
        f"{row['gradient']:,}",
        f"{bounds['seconds'] * 1e3:.3g}",
        parts,
        f"{100 * bounds['efficiency']:.2f}",
    ]


def table(rows: Mapping[Case, Mapping[str, Any]]) -> str:
    """Return the table of one program; settings that all rows share stand above it."""
    shared = {case.settings for case in rows}
    if len(shared) > 1:
        return markdown_table(COLUMNS, [table_row(*item) for item in rows.items()])
    cells = [[slice, *rest] for slice, _, *rest in (COLUMNS, *map(table_row, rows, rows.values()))]
    return f"`{shared.pop()}`\n\n{markdown_table(cells[0], cells[1:])}"


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_string("only", "", "A regular expression that a row's name must contain.")
    flags.DEFINE_bool("list", False, "Print the names of the rows and whether they are finished.")
    flags.DEFINE_string("results", "benchmarks/results/aot.json", "Finished rows.")
    flags.DEFINE_string(
        "corpus",
        "../shared/data/llm_prompts/mapper_data_gpt.json.gz",
        "ProText's sentences, {class: [sentence, ...]}; ImageNet's by default.",
    )
    flags.DEFINE_string(
        "override", "", "Settings for every row, e.g. model=DIR,clip=DIR,resolution=64 to try out."
    )


def main(argv: Sequence[str]) -> None:
    """Compile the rows that are not finished and print the tables."""
    del argv
    jax.config.update("jax_platforms", "cpu")
    options, path = flags.FLAGS, Path(flags.FLAGS.results)
    results = read_json(path) if path.exists() else {}
    chosen = [case for case in cases() if re.search(options.only, case.key)]
    for case in chosen:
        if options.list:
            say(f"{'done' if case.key in results else 'open'}  {case.key}")
        elif case.key not in results:
            say(f"compiling {case.key}")
            results[case.key] = row = measure(case, options.corpus, options.override)
            write_json(path, results)
            check(case, row)
    finished = [case for case in chosen if case.key in results]
    for program in dict.fromkeys(case.program for case in finished):
        selected = {case: results[case.key] for case in finished if case.program == program}
        print(f"{program}\n\n{table(selected)}")


if __name__ == "__main__":
    run_command(main, define_flags)
