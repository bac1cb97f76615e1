"""h and g on disk: a safetensors file that needs nothing of training."""

from collections.abc import Iterable

import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import PyTree

from common.errors import UserError
from common.files import require_file
from common.finite import require_finite
from common.nesting import nest
from common.paths import AnyPath, on_disk
from common.text import some
from common.training.sharding import by_path
from common.weights.files import write_tensors
from common.weights.safetensors_file import read_safetensors


def head_file(run: AnyPath, name: str) -> AnyPath:
    """Return where a run's folder holds what is kept of a variant."""
    return run / "heads" / f"{name}.safetensors"


def write_head(path: AnyPath, params: PyTree) -> None:
    """Write the parameters of a `Head`."""
    flat = flatten_dict(params, sep="/")
    write_tensors(path, {name: np.ascontiguousarray(leaf) for name, leaf in flat.items()})


def write_heads(workdir: AnyPath, trainable: PyTree) -> list[AnyPath]:
    """Write what is kept of a tree {variant: {"head": ...}}.

    Returns:
      The files.
    """
    files = []
    for name, params in heads_in(trainable).items():
        files.append(head_file(workdir, name))
        write_head(files[-1], params)
    return files


def heads_in(trainable: PyTree) -> dict[str, PyTree]:
    """Return what is kept of a tree {variant: {"head": ...}}, by the name of its file.

    Raises:
      UserError: Something in it has nothing to keep, as in a run of another method.
    """
    heads = {}
    for name, params in trainable.items():
        # A captioning run's visual map is not a head and stands beside them.
        parts = [part for part in ("map", "head") if isinstance(params, dict) and part in params]
        if not parts:
            raise UserError(
                f"what was learned as {name!r} has no head: give the run as it was written."
            )
        heads[name] = params[parts[0]]
    return heads


def read_head(path: AnyPath) -> PyTree:
    """Read the parameters of a `Head`.

    Raises:
      UserError: There is no such file, or it is damaged.
    """
    beside = sorted(file.stem for file in path.parent.glob("*.safetensors"))
    remedy = (
        f"its folder has those of {some(beside)}" if beside else "train the run to its end first"
    )
    require_file(path, remedy)
    with on_disk(path) as copy:
        arrays, _ = read_safetensors(copy)
    require_finite(arrays, f"the head {path}", "train the run again")
    return nest({name: np.array(array) for name, array in arrays.items()})


def read_heads(workdir: AnyPath, names: Iterable[str]) -> PyTree:
    """Return what a run kept of some variants, as they lie in its trainable tree.

    Raises:
      UserError: A file is missing or damaged.
    """
    return {name: {"head": read_head(head_file(workdir, name))} for name in names}


def require_fit(name: str, params: PyTree, fresh: PyTree) -> None:
    """Refuse the parameters of a head that has other parts or sizes than the run's config says.

    Args:
      name: Of the head, for the sentence.
      params: What `read_head` gave.
      fresh: Parameters as they would be made now; shapes suffice.

    Raises:
      UserError: The two differ.
    """
    shapes, expected = (
        {path: np.shape(leaf) for path, leaf in by_path(tree).items()} for tree in (params, fresh)
    )
    if differing := sorted(set(shapes.items()) ^ set(expected.items())):
        path = differing[0][0]
        raise UserError(
            f"the head {name!r} has {path} of the shape {shapes.get(path, 'none')}, but the model "
            f"and the run's config ask for {expected.get(path, 'none')}: give the run as it was "
            "written."
        )
