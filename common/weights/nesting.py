"""Trees of arrays, nested by name or flat by path ("a/b/c")."""

from collections.abc import Mapping
from typing import Any

from common.errors import UserError


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn a nested mapping into `{"a/b/c": leaf}`."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `{"a/b/c": leaf}` into a nested dict; inverse of `flatten`.

    Raises:
      UserError: A path leads through another's leaf.
    """
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict) or node.setdefault(name, value) is not value:
            raise UserError(f"{path!r} is in another tensor's place: is the file damaged?")
    return tree
