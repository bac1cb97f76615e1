"""Checks of settings that all tasks share."""

from collections.abc import Mapping

from ml_collections import ConfigDict

from common.errors import UserError


def check_counts(config: ConfigDict, least: Mapping[str, int]) -> None:
    """Refuses counts that are too small, before anything slow is begun.

    Args:
      config: The run's.
      least: The smallest value by dotted name.

    Raises:
      UserError: One is smaller.
    """
    for name, smallest in least.items():
        value = config
        for part in name.split("."):
            value = value[part]
        if value < smallest:
            raise UserError(f"{name}={value} must be at least {smallest}.")
