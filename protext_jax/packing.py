"""The distinct classes of a batch as one row of tokens, without padding between them.

Behind the prompts a template has but a few tokens of its own, and their number differs between
classes (3 to 18 in the paper's data sets), so padding would cost more than the tokens. Shapes
must not change between steps: the largest batch of the whole run decides them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import flax.struct
import numpy as np
from jaxtyping import Int

from common.protocols.epochs import Sampler


@flax.struct.dataclass
class BatchLayout:
    """Where everything of a batch lies. A number that is too large means "nothing".

    Attributes:
      tokens: Rows of the table of suffix tokens, `[n]`.
      place: Packed position of each token of each class, `[u s]`.
      slot: The inverse: position in the flattened `[u s]` of each packed token, `[n]`.
      end: Packed position of each class's end-of-text token, `[u]`.
      ends: The inverse: whose end each packed token is, `[n]`.
      rows: Pairs of each class, `[u m]`.
    """

    tokens: Any
    place: Any
    slot: Any
    end: Any
    ends: Any
    rows: Any


@dataclass(frozen=True)
class Sizes:
    """Shapes that the batches of a run fit in.

    Attributes:
      shards: Devices that share the classes.
      classes: u of a shard.
      tokens: n of a shard.
      longest: s, tokens of the longest class.
      repeats: m.
    """

    shards: int
    classes: int
    tokens: int
    longest: int
    repeats: int

    @classmethod
    def of(
        cls,
        samplers: Iterable[tuple[Sampler, int]],
        label: Int[np.ndarray, "b"],
        lengths: Int[np.ndarray, "k"],
        shards: int,
    ) -> "Sizes":
        """Go through all batches of each (sampler, epochs), counting only.

        Args:
          samplers: Who draws the pairs, and for how many epochs.
          label: Class of each pair.
          lengths: Suffix tokens of each class.
          shards: Devices.
        """
        classes = tokens = repeats = 1
        for sampler, epochs in samplers:
            for epoch in range(epochs):
                batches = label[sampler.epoch(epoch)]
                flat = batches + len(lengths) * np.arange(len(batches))[:, None]
                counts = np.bincount(flat.ravel(), minlength=len(batches) * len(lengths))
                counts = counts.reshape(len(batches), -1)
                classes = max(classes, int((counts > 0).sum(1).max()))
                tokens = max(tokens, int(((counts > 0) @ lengths).max()))
                repeats = max(repeats, int(counts.max()))
        longest = int(lengths.max())
        # Dealt by length, two shards differ by one class and by the longest class at most.
        spare = longest if shards > 1 else 0
        return cls(shards, -(-classes // shards), -(-tokens // shards) + spare, longest, repeats)


@dataclass(frozen=True)
class Packer:
    """Lays batches out.

    Attributes:
      sizes: Shapes.
      label: Class of each pair, `[b]`.
      lengths: Suffix tokens of each class, `[k]`.
      starts: Where each class begins in the table of suffix tokens, `[k]`.
    """

    sizes: Sizes
    label: Int[np.ndarray, "b"]
    lengths: Int[np.ndarray, "k"]
    starts: Int[np.ndarray, "k"]

    def __call__(self, pairs: Int[np.ndarray, "b"]) -> BatchLayout:
        """Return the layout of a batch, with the shards in front of every array."""
        classes, slots = np.unique(self.label[pairs], return_inverse=True)
        by_length = np.argsort(-self.lengths[classes], kind="stable")
        order = np.argsort(slots, kind="stable")
        groups = np.split(pairs[order], np.cumsum(np.bincount(slots))[:-1])
        shards = [by_length[i :: self.sizes.shards] for i in range(self.sizes.shards)]
        packed = [self._shard(classes[members], [groups[i] for i in members]) for members in shards]
        return BatchLayout(**{name: np.stack([x[name] for x in packed]) for name in packed[0]})

    def _shard(
        self, classes: Int[np.ndarray, "u"], groups: Sequence[np.ndarray]
    ) -> dict[str, np.ndarray]:
        sizes, nothing = self.sizes, np.iinfo(np.int32).max
        lengths = self.lengths[classes]
        stops = np.cumsum(lengths)
        used = int(stops[-1]) if len(stops) else 0
        owner = np.repeat(np.arange(len(classes)), lengths)
        within = np.arange(used) - np.repeat(stops - lengths, lengths)

        tokens = np.zeros(sizes.tokens, np.int32)
        slot = np.full(sizes.tokens, nothing, np.int32)
        place = np.full((sizes.classes, sizes.longest), nothing, np.int32)
        end = np.full(sizes.classes, nothing, np.int32)
        ends = np.full(sizes.tokens, nothing, np.int32)
        rows = np.full((sizes.classes, sizes.repeats), nothing, np.int32)

        tokens[:used] = self.starts[classes][owner] + within
        slot[:used] = owner * sizes.longest + within
        place[owner, within] = np.arange(used)
        end[: len(classes)] = stops - 1
        ends[stops - 1] = np.arange(len(classes))
        for row, group in zip(rows, groups, strict=False):
            row[: len(group)] = group
        return {
            **{"tokens": tokens, "place": place, "slot": slot},
            **{"end": end, "ends": ends, "rows": rows},
        }


def suffixes(
    ids: Int[np.ndarray, "k s"], end: Int[np.ndarray, "k"], length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the tokens behind the prompts of every class, end to end.

    Returns:
      Token ids `[total]`, their positions `[total]`, and each class's length and start `[k]`.
    """
    lengths = end - length
    starts = np.cumsum(lengths) - lengths
    position = 1 + length + np.arange(lengths.sum()) - np.repeat(starts, lengths)
    owner = np.repeat(np.arange(len(ids)), lengths)
    return ids[owner, position], position, lengths, starts
