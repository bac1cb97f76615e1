"""Fields that every config has, and bounds of numbers that the methods' configs share."""

from ml_collections import ConfigDict

from common.checks import Range, check_choices, check_ranges
from common.config import flatten
from common.errors import UserError
from common.seeds import check_seeds
from common.training.rates import DECAYS, PAPER
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


STEPS = 2**31 - 1
"""Updates that a run may have; devices count them in 32 bits."""

RANGES: dict[str, Range] = {
    "keep": Range(1, 1000),
    "updates": Range(high=STEPS),
    "steps_per_call": Range(high=10_000),
    "log_every": Range(high=STEPS),
    "save_every": Range(high=STEPS),
    "eval_every": Range(high=STEPS),
    "preview_every": Range(high=STEPS),
    # What the methods' configs share.
    "batch": Range(1, 2**20),
    "learning_rate": Range(0, 1e6),
    "weight_decay": Range(0, 1e6),
    "momentum": Range(0, 1),
    "beta1": Range(0, 1),
    "beta2": Range(0, 1),
    "warmup_epochs": Range(0, STEPS),
    "warmup_rate": Range(0, 1e6),
    "warmup": Range(0, STEPS),
    "rate.warmup": Range(0, STEPS),
    "rate.end": Range(0, 1),
    "shots": Range(-1, STEPS),  # -1: as the method chooses
    "holdout": Range(0, STEPS),
}
"""Bounds of numbers; `Schedule` has further ones, and methods have those of their own fields."""


def check_fields(config: ConfigDict) -> None:
    """Refuse a config that the loop cannot read.

    Raises:
      UserError: A field is missing or out of range.
    """
    missing = [name for name in FIELDS if name not in flatten(config)]
    if missing:
        raise UserError(f"the config has no field {missing[0]!r}, which the loop needs.")
    check_seeds(config)
    check_ranges(config, RANGES)
    check_choices(config, {"rate.schedule": (PAPER, *DECAYS)})
    if "://" in config.get("cache", ""):
        raise UserError(f"cache={config.cache!r} is not a folder of a disk, as the cache must be.")
    require_wandb(config.wandb)
