"""The contract of a method: what the training loop and the commands ask of it."""

import abc
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import PyTree
from ml_collections import ConfigDict, FrozenConfigDict

from common.config import changed, choose_config, read_config
from common.errors import UserError
from common.paths import AnyPath
from common.training.config_fields import check_fields
from common.training.mesh import make_mesh
from common.training.sharding import Rules, placed
from common.training.types import Card, Evaluation, RunInputs, Tell, unheard
from common.training.unfinished import say_changed_data


class Method(abc.ABC):
    """One paper: hooks that the training loop and the commands call.

    The constructor completes the config, keeps it and touches no device: a cluster is joined
    afterwards. The loop calls `load` once, then `init`, then `loss` in every step under
    `jax.set_mesh(mesh)`, `evaluate` now and then, and `save` at the end.

    `load` (or `abstract` in its place) is the only hook that keeps anything on the object: the
    models and the data that it opened. All others return what they found.

    Attributes:
      name: Of the method, as results call it.
      config: Every field, completed; it cannot be changed.
      trainable_rules, frozen_rules, batch_rules: How the trees are sharded; whatever no rule names
        is replicated.
      real_rows: Names leaves of the state, e.g. ".*tokens", that are filled up with rows of no
        meaning to suit the devices, and how many rows are real: the first ones. The path's parts
        are joined by dots. A checkpoint holds these alone.
      writes: The files and folders that a run has beside those of the loop.
      terms: Those metrics of a step that are shown while a run goes on, with what they mean; where
        there are none, the loss is, which may be a sum over classes and variants.
      evaluation_fields: Fields of the config that only evaluation reads, or groups of such fields
        by a name that ends in a dot ("generate."). They may be changed on a folder afterwards.
      decisive: Those of the fields that otherwise change nothing of what is learned, such as
        "eval_every", by which this run `stops`.
    """

    config: ConfigDict
    trainable_rules: Rules = ()
    frozen_rules: Rules = ()
    batch_rules: Rules = ()
    real_rows: Mapping[str, int] = MappingProxyType({})
    writes: tuple[str, ...] = ()
    terms: Mapping[str, str] = MappingProxyType({})
    evaluation_fields: tuple[str, ...] = ()
    decisive: tuple[str, ...] = ()

    def __init__(self, config: ConfigDict | None = None, **fields: Any):
        """Complete a config, which is given whole or as those fields that are not defaults.

        Raises:
          TypeError: Both are given.
          UserError: A field is unknown, missing, or out of range.
        """
        config = choose_config(self.get_config, config, fields)
        check_fields(config)
        self.config = FrozenConfigDict(self.complete(config))

    # ---- What a method is.

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The method's name; a class attribute."""

    @staticmethod
    @abc.abstractmethod
    def get_config(arg: str | Mapping[str, Any] | None = None) -> ConfigDict:
        """Return the defaults with what `arg` says; that of the method's config file."""

    @classmethod
    def complete(cls, config: ConfigDict) -> ConfigDict:
        """Return the config with what only the data tell filled in.

        For instance the number of updates where the config says epochs. It touches no device,
        and what it returns is what `config.json` holds. Completing it again changes nothing.
        """
        return config

    # ---- Training.

    @abc.abstractmethod
    def load(self, mesh: Mesh, tell: Tell = unheard) -> RunInputs:
        """Read weights and data, and compute or read what depends on them alone.

        `tell` is called once, as soon as it is known what the run learns from and ahead of what
        takes long, with rows of the table that a run prints first, e.g. {"classes": "12",
        "learns from": "60 photos of 72"}; see `common.training.summary`.
        """

    def abstract(self, mesh: Mesh) -> RunInputs:
        """Return what `load` would give, from sizes alone: `jax.ShapeDtypeStruct` for every array.

        `common.aot` calls it instead of `load`, with a mesh of devices that need not exist. By
        default the data are loaded for it.
        """
        inputs = self.load(mesh)
        return replace(inputs, frozen=jax.eval_shape(lambda: inputs.frozen))

    @abc.abstractmethod
    def init(self, key: jax.Array) -> PyTree:
        """Return the trainable tree at step 0: kilobytes, the same on every host."""

    @abc.abstractmethod
    def optimizer(self) -> optax.GradientTransformation:
        """Return the optimizer of the trainable tree."""

    @abc.abstractmethod
    def loss(
        self, trainable: PyTree, frozen: PyTree, batch: PyTree, key: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Return the scalar loss and scalar metrics of one step: pure, traced by `jax.jit`.

        `key` is a function of the seed and the step, so that neither a resume nor the
        number of devices changes what is drawn.
        """

    def learning_rates(self, step: int) -> Mapping[str, float]:
        """Return the learning rates of update `step`, counted from 0, by the names of metrics.

        They are logged. Only the host computes them, so that no run waits for a device.
        """
        return {}

    def stops(self, evaluations: Sequence[Mapping[str, float]]) -> bool:
        """Return whether training ends here, after evaluations with these metrics, the newest last.

        A pure function of them, so that a resumed run stops where an undisturbed one does.
        """
        return False

    # ---- Evaluating and saving.

    @abc.abstractmethod
    def evaluate(self, trainable: PyTree, frozen: PyTree) -> Evaluation:
        """Measure `trainable` (replicated on every device); called by every host alike."""

    def preview(self, trainable: PyTree, frozen: PyTree) -> Mapping[str, np.ndarray]:
        """Return pictures of `trainable` by name, uint8 [height, width, 3], without measuring it.

        Called by every host alike, every `preview_every` updates where the config has this field.
        """
        return {}

    @abc.abstractmethod
    def save(self, trainable: PyTree, evaluation: Evaluation, workdir: AnyPath) -> None:
        """Write what users take away; numpy arrays, called on the first host only.

        Pictures and files of `evaluation` are the loop's to write.
        """

    @abc.abstractmethod
    def read(self, workdir: AnyPath) -> PyTree:
        """Return what `save` wrote: the trainable tree, or that part of it which users take away.

        Neither models nor data are opened.

        Raises:
          UserError: A file is missing or is not of this method.
        """

    @classmethod
    def publish(cls, config: ConfigDict, workdir: AnyPath, out: AnyPath) -> Card:
        """Describe a finished run for others, and write what they need beside `writes`.

        The safetensors files that `writes` names are published without being named here.

        Args:
          config: The run's.
          workdir: Its folder.
          out: The folder that is published.
        """
        return Card(title=cls.__name__)

    @classmethod
    def measure(cls, config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
        """Measure what a finished run saved, for the command `evaluate`.

        A method overrides it where evaluating needs less than training, or where other data need
        not be of the same kind.

        Args:
          config: The run's.
          workdir: Its folder.
          data: The data set to measure on; None for the run's own.
        """
        config = changed(config, {"data": data or config.data})
        method = cls(config)
        learned = method.read(workdir)
        mesh = make_mesh(config.mesh.data, config.mesh.model)
        inputs = method.load(mesh)
        if not data:
            say_changed_data(workdir, lambda: {"data": inputs.source.fingerprint})
        require_same_shapes(learned, jax.eval_shape(method.init, jax.random.key(0)), workdir)
        frozen = placed(inputs.frozen, method.frozen_rules, mesh)
        with jax.set_mesh(mesh):
            return method.evaluate(learned, frozen)

    @classmethod
    def tables(cls, config: ConfigDict, result: Mapping[str, Any]) -> Sequence[str]:
        """Return what is printed beneath the table of a result, e.g. what its terms mean."""
        return ()


def require_same_shapes(learned: PyTree, fresh: PyTree, workdir: AnyPath) -> None:
    """Refuse what a run saved, where the models or the data of this config need other shapes.

    Raises:
      UserError: The trees differ.
    """
    shapes = [jax.tree.map(lambda leaf: tuple(leaf.shape), tree) for tree in (learned, fresh)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"what {workdir} learned has the shapes {shapes[0]}, and these data and models need "
            f"{shapes[1]}: measure on data of the same kind."
        )


def require_method(method: Any) -> None:
    """Refuse what is not a method, such as a method's name, or its class without parentheses.

    Raises:
      UserError: It says what was given.
    """
    if not isinstance(method, Method):
        is_class = isinstance(method, type)
        what = f"the class {method.__name__}" if is_class else f"of type {type(method).__name__}"
        raise UserError(f"method is {what}: give a method with its fields, as MCTI(data=...).")


def find_method(config: ConfigDict) -> Method:
    """Return the method that `config.method` names as "module:class".

    Raises:
      UserError: There is none, or its config is not in order.
    """
    return method_class(config.get("method", ""))(config)


def method_class(name: str) -> type[Method]:
    """Return the class that "module:class" names.

    Raises:
      UserError: There is none.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"method={name!r} names no method ({error}): a config must say module:class, e.g. "
            "config.method = 'mcti_jax:MCTI'."
        ) from None


def read_run_config(
    workdir: AnyPath, methods: Sequence[type[Method]], cache: str | None = None
) -> tuple[type[Method], ConfigDict]:
    """Return which of these methods trained the run in `workdir`, and its config.

    `cache` is as of `read_config`.

    Raises:
      UserError: `workdir` holds no run, or one of another method.
    """
    defaults = {method: method.get_config() for method in methods}
    config = read_config(workdir, *defaults.values(), cache=cache)
    method = next(x for x, default in defaults.items() if default.method == config.method)
    return method, config
