"""What a method and the training loop hand each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jaxtyping import PyTree

EVALUATION = "evaluation: "
"""How the fingerprint of what only evaluation reads is called, e.g. "evaluation: test photos"."""

Tell = Callable[[Mapping[str, str]], None]
"""Takes the rows of the table that a run prints first; see `Method.load`."""


def unheard(rows: Mapping[str, str]) -> None:
    """Leave the rows unprinted."""
    del rows


@runtime_checkable
class Source(Protocol):
    """Which examples belong to which step: a pure function of the step.

    Nothing else is remembered, so the step is the position in the data: a resumed run reads
    exactly the batch that the interrupted one would have read.

    Attributes:
      fingerprint: Changes whenever the data or their order do.
    """

    fingerprint: str

    def batch(self, step: int) -> PyTree:
        """Return the batch of `step` as numpy arrays, small and the same on every host.

        These are indices into the frozen tree rather than examples. Shapes never change.
        """


@runtime_checkable
class Learner(Protocol):
    """What a training step needs of a method."""

    def optimizer(self) -> optax.GradientTransformation:
        """Return the optimizer of the trainable tree."""

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the scalar loss and scalar metrics of one step."""


@dataclass(frozen=True)
class RunInputs:
    """What `Method.load` found.

    Attributes:
      frozen: Weights and caches, host (numpy) or device arrays; an argument of every step.
      source: Which examples belong to which step.
      fingerprints: Name -> fingerprint of whatever a checkpoint depends on, e.g. the weights.
        The source's is added by the loop. A change of one whose name begins with `EVALUATION`
        is reported and not refused.
      earlier: Name -> how to compute a fingerprint that only older versions recorded. It is
        asked for where a checkpoint has the name, and `fingerprints` has not.
      notes: What `save` needs beside the trainable tree, e.g. class names, as JSON would hold
        it. Checkpoints keep it, so that `common.training.unfinished` can do without the data.
    """

    frozen: PyTree
    source: Source
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[str, Callable[[], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """What `Method.publish` says of a run, for its model card.

    Attributes:
      title: Its heading.
      classnames: The classes that were learned, if any.
      facts: Rows of the table "what was learned from", e.g. {"photos": "5 of each class"}.
      tags: For the hub's search.
      library: What loads the files, as the hub calls it; "" for this library alone.
      usage: Markdown on how the run is loaded; {repository} stands for its name on the hub.
    """

    title: str = ""
    classnames: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    library: str = ""
    usage: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What `Method.evaluate` measured.

    Attributes:
      metrics: Flat, name -> number.
      baselines: The same names or others, for what the method is compared with.
      pictures: Name -> uint8 image [height, width, 3]. The loop writes them as `NAME.png` into
        the run's folder and shows them in TensorBoard.
      details: What no single number says, by name, as JSON would hold it.
      files: Name -> what JSON holds. The loop writes them as `NAME.json`.
      tables: Name -> rows of the same columns. The loop writes them as `NAME.csv`.
      seed: Of what was measured, where it is not the config's.
    """

    metrics: Mapping[str, float]
    baselines: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    seed: int | None = None
