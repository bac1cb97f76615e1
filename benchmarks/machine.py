"""What a table of timings was measured on."""

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path


def describe_machine(*packages: str) -> str:
    """Return a sentence about the processor, its load, the day and the versions."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return (
        f"{model[1] if model else platform.processor()}, {len(os.sched_getaffinity(0))} threads, "
        f"load {os.getloadavg()[0]:.1f} (each thread of the run counts 1), "
        f"{datetime.date.today()}, Python {platform.python_version()}, {versions}."
    )
