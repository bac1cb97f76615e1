"""The start of a run: its config in order, and the state before the first step."""

import jax
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from common.config import flatten
from common.errors import UserError
from common.training.method import Method
from common.training.sharding import REPLICATED, place
from common.training.state import TrainState, init_state, state_shardings
from common.training.wandb_writer import require_wandb

FIELDS = (
    "compile_cache",
    "data",
    "keep",
    "mesh.data",
    "mesh.model",
    "model",
    "progress",
    "seed",
    "wandb",
)
"""Fields that the loop reads beside those of `Schedule`."""


def check_fields(config: ConfigDict) -> None:
    """Refuse a config that the loop cannot read.

    Raises:
      UserError: a field is missing or out of range.
    """
    missing = [name for name in FIELDS if name not in flatten(config)]
    if missing:
        raise UserError(f"the config has no field {missing[0]!r}, which the loop needs.")
    if not 0 <= config.seed < 2**31:
        raise UserError(f"seed={config.seed} is out of range: give a number from 0 to 2**31 - 1.")
    if config.keep < 1:
        raise UserError(f"keep={config.keep}: at least one checkpoint must be kept.")
    if "://" in config.get("cache", ""):
        raise UserError(f"cache={config.cache!r} is no folder of a disk, as the cache must be.")
    require_wandb(config.wandb)


def initial_state(method: Method, seed: int, mesh: Mesh) -> tuple[TrainState, jax.Array]:
    """The state before the first step and the key of all steps, on the devices."""
    # Kilobytes, so the tree is made by every host and moved, which lets a method compute it
    # as it likes.
    state = init_state(method.init(jax.random.key(seed)), method.optimizer())
    state = place(state, state_shardings(state, method.trainable_rules, mesh))
    make_key = jax.jit(
        lambda seed: jax.random.fold_in(jax.random.key(seed), 1),
        out_shardings=NamedSharding(mesh, REPLICATED),
    )
    return state, make_key(seed)
