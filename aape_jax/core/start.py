"""Training that starts from the h of another run, e.g. of one on captions."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from ml_collections import ConfigDict

from aape_jax.core.heads_file import head_file, read_head
from aape_jax.core.presets import OWN
from aape_jax.core.summary import FEATURES
from common.config import flatten, read_config
from common.errors import UserError
from common.paths import as_path
from common.training.unfinished import changed_since


def read_start(config: ConfigDict, name: str = OWN) -> PyTree | None:
    """Return h of the variant `name` of the run in the folder `config.start`; None for "".

    Raises:
      UserError: The run is not finished, or has no h, or one that is added to x where that of
        `config` is not, or the reverse.
    """
    if not config.start:
        return None
    folder = as_path(config.start)
    file = head_file(folder, name)
    params = read_head(file)
    if "generator" not in params:
        raise UserError(f"start={config.start}: {file} holds no h, so nothing can start from it.")
    ours = config.generator.residual
    written = flatten(read_config(folder)) if (folder / "config.json").exists() else {}
    if (theirs := written.get("generator.residual", ours)) != ours:
        raise UserError(
            f"start={config.start}: h learned with generator.residual={theirs} there, and this run "
            f"has {ours}: give generator.residual={theirs}."
        )
    return params["generator"]


def require_same_models(field: str, place: str, models: Mapping[str, str]) -> None:
    """Refuse what a run learned with other models, which may fit by their widths.

    A run without checkpoints is passed over, and one that learned from files of features.

    Args:
      field: Of the config.
      place: What it says: the run's folder, or a file in its `heads`.
      models: Fingerprints, see `Task.models`.

    Raises:
      UserError: It names the model and both fingerprints.
    """
    path = as_path(place)
    run = path.parent.parent if path.suffix == ".safetensors" else path
    for name, before in changed_since(run, lambda: models, "these models").items():
        if before != FEATURES:
            raise UserError(
                f"{field}={place} was learned with another {name} (weights {before}) than this "
                f"run's ({models[name]}): give that one, with the dtype and image_size it had."
            )


def started(start: str, generator: PyTree, fresh: PyTree) -> PyTree:
    """Return `generator` in place of the `fresh` parameters of h.

    Raises:
      UserError: They have other sizes.
    """
    if jax.tree.map(np.shape, generator) != jax.tree.map(np.shape, fresh):
        sizes = [[np.shape(leaf) for leaf in jax.tree.leaves(h)] for h in (generator, fresh)]
        raise UserError(
            f"start={start}: h has the sizes {sizes[0]} there and {sizes[1]} here: take the same "
            "model and the same generator fields."
        )
    return jax.tree.map(jnp.asarray, generator)
