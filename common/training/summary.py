"""The small table that every run begins with: what it learns from, where, and with what."""

from collections.abc import Mapping

import jax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from common.paths import AnyPath

ROWS = ("method", "classes", "learns from", "passed over", "kept for the test")
"""Rows that methods share, in their order; a method's own ones follow."""

LAST = ("model", "device", "folder")
"""Rows that the loop knows itself; a method that says more of its model has the word."""


def summary_rows(
    method: str, reported: Mapping[str, str], config: ConfigDict, mesh: Mesh, workdir: AnyPath
) -> dict[str, str]:
    """Return the rows of the table: those of the method and the loop's own.

    Args:
      method: Its name.
      reported: What `Method.load` reports.
      config: The run's.
      mesh: The devices that take part.
      workdir: The run's folder.
    """
    kind = mesh.devices.flat[0].device_kind
    processes = jax.process_count()
    hosts = f" on {processes} hosts" if processes > 1 else ""
    general = {
        "method": method,
        "model": config.model,
        "device": f"{mesh.size} x {kind}{hosts}",
        "folder": str(workdir),
    }
    rows = {**general, **reported}
    others = [name for name in rows if name not in (*ROWS, *LAST)]
    order = (*ROWS, *others, *LAST)
    return {name: str(rows[name]) for name in order if rows.get(name)}


def summary_table(rows: Mapping[str, str]) -> str:
    """Return the rows as text, a line each, with the values below one another."""
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {' '.join(text.split())}" for name, text in rows.items())


def unread_counts(config: ConfigDict, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the row of counts in a config that are for `common.aot`, and not those of the data.

    Args:
      config: The run's, in which 0 says nothing.
      counts: Of the data, by field.
    """
    unread = [
        f"{name}={config[name]}" for name, count in counts.items() if config[name] not in (0, count)
    ]
    return {"not read": f"{', '.join(unread)}, for common.aot alone"} if unread else {}
