"""Compiles the training step of a config for a TPU topology, without a TPU.

    python -m common.aot --config=configs/mcti.py[:key=value,...] --topology=v5e:2x4
        [--report=FILE.json] [--largest=FIELD]

Needs neither weights nor photos, only the sizes of the models. With `--largest=batch` it searches
the largest batch that fits, or the largest value of any other whole number of the config. Exit
status 2 means that the request was refused, 1 that the program was compiled and does not fit into
the memory.

For example:

    python -m common.aot --config=configs/mcti.py:recipe=oxford_flowers --topology=v5e:2x4
"""

from collections.abc import Sequence

from absl import flags

from common.config import define_config_flag, flatten, read_config_flag
from common.errors import UserError, run_command
from common.files import write_json
from common.paths import as_output
from common.progress import say


def define_flags() -> None:
    """Define `--config`, `--topology`, `--report` and `--largest`."""
    define_config_flag()
    flags.DEFINE_string("topology", None, "Generation and shape, e.g. v5e:2x4 or v6e:1x1.")
    flags.DEFINE_string("report", None, "A JSON file for the numbers.")
    flags.DEFINE_string("largest", None, "A field to raise as far as the memory allows, e.g. batch")


def main(argv: Sequence[str]) -> None:
    """Compile, print a table and write the report."""
    # Imported once the flags are in order, so that help and mistakes show at once.
    import jax
    from rich.console import Console

    from common.aot.largest import largest
    from common.aot.program import compile_for

    del argv
    # Before any device is touched: neither real devices nor cached programs take part.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_compilation_cache_dir", None)
    if not flags.FLAGS.topology:
        raise UserError("missing --topology: name the devices, e.g. --topology=v5e:2x4.")
    out = as_output(flags.FLAGS.report, "--report", ".json") if flags.FLAGS.report else None
    config, topology, field = read_config_flag(), flags.FLAGS.topology, flags.FLAGS.largest
    report = largest(config, topology, field) if field else compile_for(config, topology)
    if field:
        say(f"the largest: {field}={flatten(report.config)[field]}")
    Console().print(report.table())
    if out is not None:
        write_json(out, report.to_dict())
        say(f"wrote {out}")


if __name__ == "__main__":
    run_command(main, define_flags)
