"""Shardings are data: one table from paths to `PartitionSpec`, and how arrays get there."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from common.errors import UserError
from common.hosts import REPLICATED, place

Rules = Sequence[tuple[str, PartitionSpec]]
"""Lines of a sharding table: a regular expression for the whole path "a/b/c" and its spec."""


def by_path(tree: PyTree) -> dict[str, Any]:
    """Return the leaves of `tree` by path, e.g. "text/block_0/kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def shardings(tree: PyTree, rules: Rules, mesh: Mesh) -> PyTree:
    """Return the sharding of every leaf: the first rule whose pattern matches the whole path.

    Leaves may be abstract. Without a matching rule a leaf is replicated.

    Raises:
      UserError: The devices of an axis cannot share a dimension evenly.
    """
    leaves = [
        NamedSharding(mesh, _checked(path, leaf, _first_match(path, rules), mesh))
        for path, leaf in by_path(tree).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)


def placed(tree: PyTree, rules: Rules, mesh: Mesh) -> PyTree:
    """Return `tree` on the devices, laid out as the rules say.

    Raises:
      UserError: As of `shardings`.
    """
    return place(tree, shardings(tree, rules, mesh))


def optimizer_shardings(opt_state: PyTree, trainable: PyTree, rules: Rules, mesh: Mesh) -> PyTree:
    """Shard moments as the parameters they belong to; counters are replicated.

    A moment lies at the path of its parameter behind a prefix of the optimizer's own
    ("0/mu/tokens" for "tokens") and has its shape.
    """
    shapes = {path: np.shape(leaf) for path, leaf in by_path(trainable).items()}

    def parameter_of(path: str, leaf: Any) -> str | None:
        parts = path.split("/")
        suffixes = ["/".join(parts[start:]) for start in range(len(parts) + 1)]
        return next((s for s in suffixes if shapes.get(s) == np.shape(leaf)), None)

    def spec(path: str, leaf: Any) -> PartitionSpec:
        parameter = parameter_of(path, leaf)
        return REPLICATED if parameter is None else _first_match(parameter, rules)

    leaves = [NamedSharding(mesh, spec(path, leaf)) for path, leaf in by_path(opt_state).items()]
    return jax.tree.unflatten(jax.tree.structure(opt_state), leaves)


def _first_match(path: str, rules: Rules) -> PartitionSpec:
    return next((spec for pattern, spec in rules if re.fullmatch(pattern, path)), REPLICATED)


def _checked(path: str, leaf: Any, spec: PartitionSpec, mesh: Mesh) -> PartitionSpec:
    shape = np.shape(leaf)
    if len(spec) > len(shape):
        raise UserError(f"the rule for {path!r} is {spec}, but its shape is {shape}.")
    for size, axes in zip(shape, spec, strict=False):
        names = (axes,) if isinstance(axes, str) else tuple(axes or ())
        devices = math.prod(mesh.shape[name] for name in names)
        if size % devices:
            raise UserError(
                f"{path!r} of shape {shape} is sharded by {spec}, but {devices} devices cannot "
                f"share {size} evenly: choose config.mesh so that they can."
            )
    return spec
