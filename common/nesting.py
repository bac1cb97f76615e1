"""What is nested by name, or flat by path: trees of arrays ("a/b/c"), a config's fields ("a.b")."""

from collections.abc import Mapping
from types import UnionType
from typing import Any

from common.errors import UserError


def flatten(
    tree: Any, separator: str = "/", branch: type | UnionType = Mapping, prefix: str = ""
) -> dict[str, Any]:
    """Turn a nested mapping into `{"a/b/c": leaf}`.

    Args:
      tree: The mapping.
      separator: Of the names in a path.
      branch: What is taken apart; all else is a leaf.
      prefix: Of all paths.
    """
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, branch):
            flat |= flatten(value, separator, branch, f"{prefix}{name}{separator}")
        else:
            flat[prefix + name] = value
    return flat


def nest(flat: Mapping[str, Any], separator: str = "/") -> dict[str, Any]:
    """Turn `{"a/b/c": leaf}` into a nested dict; inverse of `flatten`.

    Raises:
      UserError: A path leads through another's leaf.
    """
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *parents, name = path.split(separator)
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict) or node.setdefault(name, value) is not value:
            raise UserError(f"{path!r} is in another tensor's place: is the file damaged?")
    return tree
