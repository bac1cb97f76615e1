"""One line of a conversion table: templates of names, and how a tensor changes its layout."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

_HOLE = re.compile(r"\{(\w+)(?::([^{}]+))?\}")


@dataclass(frozen=True)
class Transform:
    """How one tensor changes its layout, and back."""

    to_flax: Callable[[np.ndarray], np.ndarray]
    to_source: Callable[[np.ndarray], np.ndarray]


def _same(x: np.ndarray) -> np.ndarray:
    return x


TRANSFORMS: dict[str, Transform] = {
    "keep": Transform(_same, _same),
    # [out, in] <-> [in, out]
    "linear": Transform(np.transpose, np.transpose),
    # [out, in, h, w] <-> [h, w, in, out]
    "conv": Transform(lambda x: x.transpose(2, 3, 1, 0), lambda x: x.transpose(3, 2, 0, 1)),
    # [1, rows, out] <-> [rows, out]
    "unbatched": Transform(lambda x: x.squeeze(0), lambda x: x[None]),
    # Of attention in Flax, by head; the way back knows of one head.
    # [in, heads, width] <-> [in, out]
    "into_heads": Transform(lambda x: x.reshape(x.shape[0], -1), lambda x: x[:, None]),
    # [heads, width, out] <-> [in, out]
    "out_of_heads": Transform(lambda x: x.reshape(-1, x.shape[-1]), lambda x: x[None]),
    # [heads, width] <-> [out]
    "of_heads": Transform(lambda x: x.reshape(-1), lambda x: x[None]),
    # [1] <-> a number
    "number": Transform(lambda x: x.reshape(()), lambda x: x.reshape(1)),
    # a 1x1 convolution used as a linear map: [out, in, 1, 1] <-> [in, out]
    "conv1x1_as_linear": Transform(
        lambda x: x.squeeze((2, 3)).transpose(), lambda x: x.transpose()[:, :, None, None]
    ),
}


@dataclass(frozen=True)
class Rule:
    """One line of a conversion table.

    `{name}` in a template stands for one component (or a part of one) between separators, and
    `{name:a|b}` for one of the listed words; both templates name the same holes.

    Attributes:
      source: Template of the source key, parts separated by dots.
      target: Template of the Flax path, parts separated by slashes. Several targets say that
        the source tensor is their concatenation, in this order.
      transform: A key of `TRANSFORMS`.
      axis: Of the source tensor, along which it is a concatenation.
    """

    source: str
    target: str | tuple[str, ...]
    transform: str = "keep"
    axis: int = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """The Flax templates as a tuple."""
        return (self.target,) if isinstance(self.target, str) else self.target


def layer(source: str, target: str, transform: str = "linear") -> tuple[Rule, ...]:
    """Return the rules of a linear map or a convolution with its bias."""
    return (
        Rule(f"{source}.weight", f"{target}/kernel", transform),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


def joined(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of an attention's query, key and value as PyTorch holds them: in one map."""
    parts = ("query", "key", "value")
    return (
        Rule(f"{source}_weight", tuple(f"{target}/{part}/kernel" for part in parts), "linear"),
        Rule(f"{source}_bias", tuple(f"{target}/{part}/bias" for part in parts)),
    )


def norm(source: str, target: str) -> tuple[Rule, ...]:
    """Return the rules of a normalisation with its scale and its bias."""
    return (
        Rule(f"{source}.weight", f"{target}/scale"),
        Rule(f"{source}.bias", f"{target}/bias"),
    )


@cache
def pattern(template: str) -> re.Pattern[str]:
    """Return a template as a regular expression with a named group for each hole."""
    regex, end = "", 0
    for hole in _HOLE.finditer(template):
        regex += re.escape(template[end : hole.start()])
        regex += f"(?P<{hole[1]}>{hole[2] or '[^./]+?'})"
        end = hole.end()
    return re.compile(regex + re.escape(template[end:]))


def fill(template: str, holes: Mapping[str, str]) -> str:
    """Fill the holes of a template."""
    return _HOLE.sub(lambda hole: holes[hole[1]], template)
