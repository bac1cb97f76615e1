"""What all tasks do alike: a run's own head and variants beside it, trained in one program."""

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, PyTree
from ml_collections import ConfigDict

from aape_jax.core.epochs import Epochs
from aape_jax.core.heads_file import heads_in, read_heads, require_fit, write_heads
from aape_jax.core.optimizer import UNREAD, learning_rates, make_optimizer
from aape_jax.core.presets import OWN
from common.checks import Unread, check_unread
from common.config import changed, flatten
from common.paths import AnyPath
from common.protocols.epochs import steps_per_epoch
from common.training import Evaluation, Method, RunInputs
from common.training.mesh import make_mesh
from common.training.sharding import placed
from common.training.types import Tell, unheard
from common.training.unfinished import say_changed_data, say_changed_models

Row = Mapping[str, float]
"""The metrics of one variant or baseline."""


class Task(Method):
    """A method whose trainable tree is {variant: {"head": ...}}, the run's own variant first.

    `load` has two halves: `open` finds the sizes of all that is read, `encode` takes the time.
    What is cheap to check is checked between them.
    """

    name = OWN
    writes = ("heads",)
    shared = ".*"
    """Which arrays of a batch the devices share, as a pattern for their names."""
    unread: tuple[Unread, ...] = UNREAD
    """Which fields nothing reads beside others."""

    @abc.abstractmethod
    def open(self, mesh: Mesh) -> Mapping[str, str]:
        """Open models and data, refuse what does not fit, and return the rows of the first table.

        Nothing is encoded.
        """

    @abc.abstractmethod
    def encode(self) -> RunInputs:
        """Encode what was opened, or read it from the cache."""

    def encode_test(self) -> tuple[PyTree, Mapping[str, str]]:
        """Encode what evaluation reads of what was opened, or read it from the cache.

        Returns:
          As much of the frozen tree, and a fingerprint of the data by the name that `encode`
          gives it, or "data" for that of the source.
        """
        inputs = self.encode()
        return inputs.frozen, {"data": inputs.source.fingerprint}

    @property
    def models(self) -> dict[str, str]:
        """Fingerprints of the models that are open, by the names that runs record."""
        return {"model": self.clip.fingerprint} if self.clip else {}

    @property
    @abc.abstractmethod
    def names(self) -> Sequence[str]:
        """The variants that are trained side by side, the run's own first."""

    def load(self, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Open everything, then encode it or read it from the cache."""
        self.check_unread()
        tell(self.open(mesh))
        return self.encode()

    def check_unread(self) -> None:
        """Refuse fields that training does not read; a finished run is measured all the same."""
        stand_ins = {x: y for x, y in self.config.items() if x in ("preset", "recipe", "protocol")}
        check_unread(self.config, self.get_config(stand_ins), self.unread)

    def divide(self, examples: int, batch: int, mesh: Mesh) -> None:
        """Keep how many examples and how large batches there are, and whether devices share these.

        A batch that they cannot share evenly is worked on by each of them.
        """
        self.examples, self.mesh = examples, mesh
        self.batch_size = min(batch, examples)
        evenly = self.batch_size % mesh.shape["data"] == 0
        self.batch_rules = ((self.shared, P("data")),) if evenly else ()

    def epochs(self, fingerprint: str, views: int = 1) -> Epochs:
        """Return the source of batches."""
        return Epochs(fingerprint, self.examples, views, self.batch_size, self.config.seed)

    def optimizer(self) -> optax.GradientTransformation:
        """See `make_optimizer`."""
        return make_optimizer(self.config, steps_per_epoch(self.examples, self.batch_size))

    def learning_rates(self, step: int) -> dict[str, float]:
        """Return the rates of the run's own variant."""
        an_epoch = steps_per_epoch(self.examples, self.batch_size)
        return learning_rates(self.config, an_epoch, step)

    def save(self, trainable: PyTree, evaluation: Evaluation, workdir: AnyPath) -> None:
        """Write what is kept of each variant, `heads/NAME.safetensors`."""
        del evaluation
        write_heads(workdir, trainable)

    def read(self, workdir: AnyPath) -> PyTree:
        """Return the heads of all variants."""
        return read_heads(workdir, self.names)

    @classmethod
    def write_notes(cls, notes: Mapping[str, Any], workdir: AnyPath) -> None:
        """Write what a run keeps beside its heads, of its `RunInputs.notes`."""

    @classmethod
    def saved_notes(cls, workdir: AnyPath) -> Mapping[str, Any]:
        """Return what `write_notes` wrote."""
        del workdir
        return {}

    def read_notes(self, workdir: AnyPath) -> None:
        """Go by what `write_notes` wrote, in place of what the data that are open say today."""

    def require_fit(self, learned: PyTree) -> None:
        """Refuse what `read` gave, where the models that are open ask for other sizes.

        Raises:
          UserError: It names the head, the array and both shapes.
        """
        fresh = heads_in(jax.eval_shape(self.init, jax.random.key(0)))
        for name, params in heads_in(learned).items():
            require_fit(name, params, fresh[name])

    @classmethod
    def check_heads(cls, config: ConfigDict, heads: Mapping[str, PyTree]) -> None:
        """Refuse heads that do not fit together or not the config, with no model at hand.

        Args:
          config: The run's.
          heads: What is kept, by the name of its file.

        Raises:
          UserError: They do not.
        """

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """Measure the saved heads on the run's own data or other data of the kind."""
        changes = {"data": data or config.data, "start": ""}
        method = cls(changed(config, {x: y for x, y in changes.items() if x in flatten(config)}))
        mesh = make_mesh(method.config.mesh.data, method.config.mesh.model)
        method.open(mesh)
        method.read_notes(workdir)
        learned = method.read(workdir)
        method.require_fit(learned)  # Before anything is encoded.
        say_changed_models(workdir, method.models)
        frozen, prints = method.encode_test()
        if not data:
            say_changed_data(workdir, lambda: prints)
        frozen = placed(frozen, method.frozen_rules, mesh)
        with jax.set_mesh(mesh):
            return method.evaluate(learned, frozen)


def summed(
    outcomes: Iterable[tuple[str, tuple[Array, Mapping[str, Array]]]],
) -> tuple[Array, dict[str, Array]]:
    """Return the sum of the variants' losses, which share no parameter, and all metrics.

    Args:
      outcomes: Of each variant its name, loss and metrics; the run's own carry no prefix.
    """
    total, metrics = jnp.zeros(()), {}
    for name, (loss, values) in outcomes:
        total += loss
        prefix = "" if name == OWN else f"{name}/"
        metrics |= {f"{prefix}{metric}": value for metric, value in values.items()}
    return total, metrics


def evaluated(rows: Mapping[str, Row], baselines: Mapping[str, Row], **further: Any) -> Evaluation:
    """Return the first row as the run's own, beside the baselines and the other variants."""
    first, *others = rows
    beside = {**baselines, **{name: rows[name] for name in others}}
    return Evaluation(rows[first], beside, **further)
