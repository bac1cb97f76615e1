"""Conversion of weights as a table (source key, Flax path, transform), read both ways.

One line of a table, its templates and transforms, is `common.weights.rules`'.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from common.errors import UserError
from common.finite import is_finite, refuse_not_finite
from common.nesting import flatten, nest
from common.text import some
from common.weights.memory import Arena, release
from common.weights.rules import TRANSFORMS, Rule, Transform, fill, pattern

_LISTED = 12  # how many names an error spells out before it only counts the rest


Table = Sequence[Rule]


@dataclass(frozen=True)
class Match:
    """Where one source key goes.

    Attributes:
      paths: One Flax path, or several that share the source tensor.
      transform: What happens to each share.
      axis: Along which the source tensor is divided into shares.
    """

    paths: tuple[str, ...]
    transform: Transform
    axis: int


def to_flax(
    table: Table,
    tensors: Mapping[str, np.ndarray],
    *,
    ignore: Sequence[str] = (),
    expected: Mapping[str, Any] | None = None,
    dtype: DTypeLike | None = None,
) -> dict[str, Any]:
    """Convert a flat source checkpoint into a nested Flax tree.

    Memory grows by the tree and hardly more: of a mapped file, a tensor's pages are given back as
    soon as it is converted.

    Args:
      table: The conversion table.
      tensors: Source key to tensor.
      ignore: Shell patterns of source keys that carry no weights, such as `*.position_ids`.
      expected: If given, the result is checked against it as by `check_complete`.
      dtype: Of the result; None leaves each tensor's own.

    Raises:
      UserError: Some keys fit no rule, two keys land on one Flax path, the result is not as
        expected, or tensors are not finite floating-point numbers; whatever is unused, missing
        or of a wrong shape is listed together.
    """
    matches, unused = _match(table, tensors, ignore)
    wanted = flatten(expected) if expected is not None else {}
    flat: dict[str, np.ndarray] = {}  # Views: nothing is copied before all of it is in order.
    for key, match in matches.items():
        for path, part in zip(match.paths, _converted(tensors[key], match, key), strict=True):
            if path in flat:
                raise UserError(f"{key!r} and another tensor both convert to {path!r}.")
            number = path in wanted and wanted[path].shape == () and part.size == 1
            flat[path] = part.reshape(()) if number else part
    _refuse(_unknown(unused) + (_differences(flat, wanted) if expected is not None else []))
    _require_floating({key: tensors[key] for key in matches})
    arena, broken = Arena(), list[str]()
    for key, match in matches.items():
        if not is_finite(_narrow(tensors[key])):
            broken.append(key)
        for path in () if broken else match.paths:
            flat[path] = arena.copy(flat[path], dtype)
        release(tensors[key])
    refuse_not_finite(broken, "the checkpoint", "download or convert it again")
    return nest(flat)


def match_keys(
    table: Table, keys: Iterable[str], *, ignore: Sequence[str] = ()
) -> dict[str, Match]:
    """Return where each source key goes; the keys that fit an `ignore` pattern are left out.

    Raises:
      UserError: Some keys fit no rule.
    """
    matches, unused = _match(table, keys, ignore)
    _refuse(_unknown(unused))
    return matches


def to_source(table: Table, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Convert a nested Flax tree back into the flat source layout; inverse of `to_flax`.

    Raises:
      UserError: Some Flax paths fit no rule, or a joined tensor lacks one of its parts.
    """
    flat = flatten(params)
    tensors: dict[str, np.ndarray] = {}
    unused = []
    for path in flat:
        rule, holes = _find(table, path, lambda rule: rule.targets)
        if rule is None:
            unused.append(path)
            continue
        key = fill(rule.source, holes)
        if key in tensors:
            continue  # another part of the same joined tensor came first
        parts = [fill(template, holes) for template in rule.targets]
        if absent := [part for part in parts if part not in flat]:
            raise UserError(f"{key!r} cannot be joined without {_list(absent)}.")
        back = TRANSFORMS[rule.transform].to_source
        joined = [back(np.asarray(flat[part])) for part in parts]
        whole = joined[0] if len(joined) == 1 else np.concatenate(joined, rule.axis)
        tensors[key] = np.asarray(whole, order="C")
    if unused:
        raise UserError(f"the tree holds {_list(unused)} that the conversion table lacks.")
    return tensors


def check_complete(params: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that a tree has exactly the paths and shapes that a model expects.

    Args:
      params: Nested tree of arrays.
      expected: Nested tree of anything with a `shape`, e.g. from `jax.eval_shape`.

    Raises:
      UserError: It lists the missing paths, the unexpected paths and the wrong shapes.
    """
    _refuse(_differences(params, expected))


def _match(
    table: Table, keys: Iterable[str], ignore: Sequence[str]
) -> tuple[dict[str, Match], list[str]]:
    """Return the matches, and the keys that fit neither the table nor `ignore`."""
    matches, unused = {}, []
    for key in keys:
        if any(fnmatchcase(key, pattern) for pattern in ignore):
            continue
        rule, holes = _find(table, key, lambda rule: (rule.source,))
        if rule is None:
            unused.append(key)
            continue
        paths = tuple(fill(template, holes) for template in rule.targets)
        matches[key] = Match(paths, TRANSFORMS[rule.transform], rule.axis)
    return matches, unused


def _unknown(unused: Sequence[str]) -> list[str]:
    return [f"holds {_list(unused)} that this model does not know"] if unused else []


def _differences(params: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    have, want = flatten(params), flatten(expected)
    faults = []
    if missing := [path for path in want if path not in have]:
        faults.append(f"lacks {_list(missing)}")
    if unexpected := [path for path in have if path not in want]:
        faults.append(f"holds {_list(unexpected)} that the configuration does not ask for")
    wrong = [
        f"{path} {tuple(have[path].shape)} instead of {tuple(want[path].shape)}"
        for path in want
        if path in have and tuple(have[path].shape) != tuple(want[path].shape)
    ]
    if wrong:
        faults.append(f"has wrong shapes: {_list(wrong)}")
    return faults


def _refuse(faults: Sequence[str]) -> None:
    if faults:
        raise UserError(
            f"the checkpoint {'; it '.join(faults)}. Do weights and configuration belong to the "
            "same model, and is it of the right kind?"
        )


def _find(
    table: Table, name: str, templates: Callable[[Rule], tuple[str, ...]]
) -> tuple[Rule | None, dict[str, str]]:
    for rule in table:
        for template in templates(rule):
            if match := pattern(template).fullmatch(name):
                return rule, match.groupdict()
    return None, {}


def _converted(tensor: np.ndarray, match: Match, key: str) -> list[np.ndarray]:
    """Return the shares of a tensor in Flax's layout."""
    parts, axis = len(match.paths), match.axis
    if parts > 1 and (tensor.ndim <= axis or tensor.shape[axis] % parts):
        raise UserError(f"{key!r} of shape {tensor.shape} does not divide into {parts} parts.")
    shares = np.split(tensor, parts, axis) if parts > 1 else [tensor]
    try:
        return [match.transform.to_flax(share) for share in shares]
    except ValueError:  # numpy's, for axes that are not there
        raise UserError(
            f"{key!r} of shape {tensor.shape} does not have the axes of its kind of layer. Do "
            "weights and configuration belong to the same model?"
        ) from None


def _require_floating(tensors: Mapping[str, np.ndarray]) -> None:
    if whole := [key for key, tensor in tensors.items() if tensor.dtype.kind in "biuc"]:
        raise UserError(
            f"the checkpoint holds {_list(whole)} that are not floating-point numbers: give "
            "weights that are not quantised."
        )


def _narrow(tensor: np.ndarray) -> np.ndarray:
    """Convert numbers that no model computes with: float64 reaches beyond float32."""
    if tensor.dtype != np.float64:
        return tensor
    with np.errstate(over="ignore"):
        return tensor.astype(np.float32)


def _list(names: Sequence[str]) -> str:
    kind = "entry" if len(names) == 1 else "entries"
    return f"{len(names)} {kind} ({some(names, _LISTED, str)})"
