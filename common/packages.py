"""The packages of this project: a new method is one name here, and every other list follows."""

from typing import Any

METHODS = ("mcti_jax", "protext_jax", "aape_jax")
PACKAGES = ("common", *METHODS)


def package_of(method: Any) -> str | None:
    """Return the package of a method, "package:class" or as earlier "package.module:class".

    None stands for everything else that a config may say, and for methods that are not ours.
    """
    package = method.partition(":")[0].partition(".")[0] if isinstance(method, str) else ""
    return package if package in METHODS else None
