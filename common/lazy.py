"""Names of a package that are imported when they are first asked for (PEP 562).

    __all__, __getattr__, __dir__ = lazily(__name__, {"package.module": ("Name", "name")})

So `import mcti_jax` costs nothing, a command imports what it runs alone, and no device is touched
before a cluster is joined.
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def in_cluster() -> bool:
    """Return whether this process is one of several; JAX, if not imported yet, joined none."""
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()


def lazily(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's `__all__`, `__getattr__` and `__dir__`.

    Args:
      package: Its name.
      homes: The public names by the module that defines them.
    """
    modules = {name: module for module, names in homes.items() for name in names}
    public = sorted(modules)

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *public})

    return public, get, names
