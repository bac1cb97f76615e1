"""What the training loop asks of a method, and what the two hand each other."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PyTree
from ml_collections import ConfigDict

from common.errors import UserError
from common.paths import AnyPath

EVALUATION = "evaluation: "
"""How the fingerprint of what only evaluation reads is called, e.g. "evaluation: test photos"."""

Rules = Sequence[tuple[str, PartitionSpec]]
"""Lines of a sharding table: a regular expression for the whole path "a/b/c" and its spec."""


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
      fingerprint: changes whenever the data or their order do.
    """

    fingerprint: str

    def batch(self, step: int) -> PyTree:
        """Return the batch of `step` as numpy arrays, small and the same on every host.

        These are indices into the frozen tree rather than examples. Shapes never change.
        """


@dataclass(frozen=True)
class RunInputs:
    """What `Method.load` found.

    Attributes:
      frozen: weights and caches, host (numpy) or device arrays; an argument of every step.
      source: which examples belong to which step.
      fingerprints: name -> fingerprint of whatever a checkpoint depends on, e.g. the weights.
        The source's is added by the loop. Of a name that begins with `EVALUATION` a change is
        said and not refused.
      notes: what `save` needs beside the trainable tree, e.g. class names, as JSON would hold
        it. Checkpoints keep it, so that `common.training.unfinished` can do without the data.
    """

    frozen: PyTree
    source: Source
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What `Method.evaluate` measured.

    Attributes:
      metrics: flat, name -> number.
      baselines: the same names or others, for what the method is compared with.
      pictures: name -> uint8 image [height, width, 3], for TensorBoard.
      details: what no single number says, by name, as JSON would hold it.
    """

    metrics: Mapping[str, float]
    baselines: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Method(Protocol):
    """One paper. Subclass it to inherit the default sharding: everything replicated.

    `real_rows` names leaves of the state, e.g. ".*tokens", that are filled up with rows of no
    meaning to suit the devices, and how many rows are real: the first ones. The path's parts are
    joined by dots. A checkpoint holds these alone.

    `writes` names the files and folders that `save` writes into the run's folder.

    `terms` names those metrics of a step that are shown while a run goes on, with what they
    mean; where there are none, the loss is, which may be a sum over classes and variants.

    `evaluation_fields` names fields of the config that only evaluation reads, or groups of such
    fields by a name that ends in a dot ("generate."). They may be changed on a folder afterwards.

    `config` holds every field, as the constructor was given them.

    The loop calls `load` once, then `init`, then `loss` in every step under
    `jax.set_mesh(mesh)`, `evaluate` now and then, and `save` at the end. The constructor
    takes the config and touches no device: a cluster is joined afterwards.
    """

    name: str
    config: ConfigDict
    trainable_rules: Rules = ()
    frozen_rules: Rules = ()
    batch_rules: Rules = ()
    real_rows: Mapping[str, int] = MappingProxyType({})
    writes: tuple[str, ...] = ()
    terms: Mapping[str, str] = MappingProxyType({})
    evaluation_fields: tuple[str, ...] = ()

    def complete(self, config: ConfigDict) -> ConfigDict:
        """Return the config with what only the data tell filled in; called before all else.

        For instance the number of updates where the config says epochs. It touches no device,
        and what it returns is what `load` is given and `config.json` holds.
        """
        return config

    def load(self, config: ConfigDict, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Read weights and data, and compute or read what depends on them alone.

        `tell` is called once, as soon as it is known what the run learns from and ahead of what
        takes long, with rows of the table that a run prints first, e.g. {"classes": "12",
        "learns from": "60 photos of 72"}; see `common.training.summary`.
        """

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return what `load` would give, from sizes alone: `jax.ShapeDtypeStruct` for every array.

        `common.aot` calls it instead of `load`, with a mesh of devices that need not exist.
        """

    def init(self, key: jax.Array) -> PyTree:
        """Return the trainable tree at step 0: kilobytes, the same on every host."""

    def optimizer(self) -> optax.GradientTransformation:
        """Return the optimizer of the trainable tree."""

    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the scalar loss and scalar metrics of one step: pure, traced by `jax.jit`.

        `key` is a function of the seed and the step, so that neither a resume nor the
        number of devices changes what is drawn.
        """

    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure `trainable` (replicated on every device); called by every host alike."""

    def stops(self, evaluations: Sequence[Mapping[str, float]]) -> bool:
        """Return whether training ends here, after evaluations with these metrics, the newest last.

        A pure function of them, so that a resumed run stops where an undisturbed one does.
        """
        return False

    def save(self, trainable: PyTree, workdir: AnyPath) -> None:
        """Write what users take away; numpy arrays, called on the first host only."""


def find_method(config: ConfigDict) -> Method:
    """Return the method that `config.method` names as "module:class".

    Raises:
      UserError: there is none.
    """
    where = config.get("method", "")
    module, _, name = where.partition(":")
    try:
        method = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"method={where!r} names no method ({error}): a config must say module:class, e.g. "
            "config.method = 'mcti_jax.method:MCTI'."
        ) from None
    return method(config)
