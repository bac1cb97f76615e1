"""CoOp's optimizer and schedule, with a learning rate of its own for the aggregator."""

from collections.abc import Callable, Mapping

import jax
import optax
from jaxtyping import Array
from ml_collections import ConfigDict

from common.checks import Unread
from common.choices import check_choice
from common.errors import UserError
from common.protocols.coop import coop_sgd, epochs_by_shots
from common.protocols.epochs import cosine_by_epoch, steps_per_epoch
from common.training.rates import DECAYS, PAPER, Rate, array_module, make_rate, rate_at
from common.trees import AnyArray

SHORT_EPOCHS = 10
"""What base-to-new protocols train for (CoCoOp)."""

SCHEDULES: Mapping[str, Callable[[int, str], int]] = {
    "short": lambda shots, recipe: SHORT_EPOCHS,
    "coop": epochs_by_shots,
}
"""Epochs by the number of shots and the name of the paper's data set. `counts` is none of them: it
leaves the loop's fields as they are."""


def epochs(schedule: str, shots: int, recipe: str = "") -> int:
    """Return the number of epochs of a schedule on a data set of the paper.

    Raises:
      UserError: There is no such schedule.
    """
    check_choice("schedule", schedule, ("counts", *SCHEDULES))
    return SCHEDULES[schedule](shots, recipe)


def counts(config: ConfigDict, examples: int) -> dict[str, int]:
    """Return the loop's counts for a schedule: one call and one line of metrics an epoch."""
    an_epoch = steps_per_epoch(examples, config.batch)
    return {
        "updates": an_epoch * epochs(config.schedule, config.shots, config.recipe),
        "steps_per_call": an_epoch,
        "log_every": an_epoch,
        "save_every": 0,
        "eval_every": 0,
    }


def check_counts(config: ConfigDict, planned: Mapping[str, int], usual: ConfigDict) -> None:
    """Refuse counts of the user's that a schedule would replace.

    Args:
      config: The run's.
      planned: What `counts` gives.
      usual: The default config, whose counts the user did not choose.

    Raises:
      UserError: It names the first, and how to have it.
    """
    own = {name: config[name] for name, value in planned.items() if config[name] != value}
    chosen = {name: value for name, value in own.items() if value != usual[name]}
    if chosen:
        name, value = next(iter(chosen.items()))
        whole = {"schedule": "counts", **planned, **chosen}
        fields = ",".join(f"{key}={number}" for key, number in whole.items())
        raise UserError(
            f"schedule={config.schedule} sets {name}={planned[name]}, not {value}: give {fields}."
        )


def rate_by_epoch(
    base: float, total_steps: int, an_epoch: int, warmup_epochs: int, warmup_rate: float
) -> Callable[[Array | int], AnyArray]:
    """Return a cosine from `base` to zero in steps of an epoch; constant in the first epochs."""
    total = max(1, -(-total_steps // an_epoch))

    def rate(step: Array | int) -> AnyArray:
        epoch = array_module(step).asarray(step) // an_epoch
        return cosine_by_epoch(epoch, total, base, warmup_epochs, warmup_rate)

    return rate


def scheduled(config: ConfigDict, base: float, an_epoch: int) -> Rate:
    """Return the rate that the config's group `rate` asks for: CoOp's by epoch, or another."""
    if config.rate.schedule != PAPER:
        return make_rate(config, base, config.updates)
    return rate_by_epoch(base, config.updates, an_epoch, config.warmup_epochs, config.warmup_rate)


def learning_rates(config: ConfigDict, an_epoch: int, step: int) -> dict[str, float]:
    """Return the run's own rates of an update; the aggregator's where it has one of its own."""
    rates = _rates(config)
    if rates["aggregator"] == rates["head"]:
        del rates["aggregator"]
    names = {"head": "learning_rate", "aggregator": "aggregator/learning_rate"}
    return {
        names[name]: rate_at(scheduled(config, base, an_epoch), step)
        for name, base in rates.items()
    }


def _sgd(rate: Rate, config: ConfigDict) -> optax.GradientTransformation:
    return coop_sgd(rate, config.momentum, config.weight_decay)


def _adamw(rate: Rate, config: ConfigDict) -> optax.GradientTransformation:
    return optax.adamw(rate, weight_decay=config.weight_decay)


OPTIMIZERS = {"sgd": _sgd, "adamw": _adamw}

UNREAD = (
    Unread(
        {"rate.schedule": tuple(DECAYS)},
        ("warmup_epochs", "warmup_rate"),
        "rate.schedule=paper or rate.warmup",
    ),
    Unread({"warmup_epochs": (0,)}, ("warmup_rate",), "warmup_epochs above 0"),
    Unread({"optimizer": ("adamw",)}, ("momentum",), "optimizer=sgd"),
)
"""Fields that not every schedule or optimizer has."""


def make_optimizer(
    config: ConfigDict, an_epoch: int, variants: Mapping[str, ConfigDict] | None = None
) -> optax.GradientTransformation:
    """Return the optimizer of a tree `{variant: {"head": ..., "aggregator": ...}}`.

    Args:
      config: The run's.
      an_epoch: Steps of an epoch.
      variants: Their configs, where learning rates of their own matter.

    Raises:
      UserError: There is no such optimizer.
    """
    check_choice("optimizer", config.optimizer, OPTIMIZERS)
    rates = _rates(config)
    for name, variant in (variants or {}).items():
        rates |= {f"{name}/{group}": rate for group, rate in _rates(variant).items()}
    groups = {
        name: OPTIMIZERS[config.optimizer](scheduled(config, base, an_epoch), config)
        for name, base in rates.items()
    }

    def group(path: tuple, leaf: Array) -> str:
        del leaf
        variant, part = path[0].key, path[1].key
        return f"{variant}/{part}" if f"{variant}/{part}" in groups else part

    return optax.partition(groups, lambda tree: jax.tree_util.tree_map_with_path(group, tree))


def _rates(config: ConfigDict) -> dict[str, float]:
    return {
        "head": config.learning_rate,
        "aggregator": config.learning_rate * config.aggregator.rate_factor,
    }
