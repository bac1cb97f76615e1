"""A part of a model: the weights of one folder, or of one of several in a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from common.weights.table import Table, match_keys, to_flax


@dataclass(frozen=True)
class Part:
    """The weights of one part of a model.

    Attributes:
      name: What the report calls it.
      tensors: By source key.
      table: Where the keys go.
      ignore: Patterns of keys that carry no weights.
    """

    name: str
    tensors: Mapping[str, np.ndarray]
    table: Table
    ignore: tuple[str, ...] = ()

    def to_flax(
        self, expected: Mapping[str, Any] | None = None, dtype: DTypeLike | None = None
    ) -> dict[str, Any]:
        """Convert the tensors; see `common.weights.table.to_flax`."""
        options = {"ignore": self.ignore, "expected": expected, "dtype": dtype}
        return to_flax(self.table, self.tensors, **options)

    def report(self) -> dict[str, Any]:
        """Return where each key goes, and which keys carry no weights."""
        matches = match_keys(self.table, self.tensors, ignore=self.ignore)
        keys = {
            key: {
                "to": match.paths,
                "shape": self.tensors[key].shape,
                "dtype": self.tensors[key].dtype.name,
            }
            for key, match in matches.items()
        }
        return {"keys": keys, "ignored": sorted(set(self.tensors) - set(keys))}
