"""What a config of a run on questions may say."""

from ml_collections import ConfigDict

from common.checks import Range, check_ranges
from common.errors import UserError


def check_options(config: ConfigDict) -> None:
    """Refuse options that no run on questions can follow.

    Raises:
      UserError: A field is out of range or contradicts another, or no model is named.
    """
    check_ranges(config, {"answers": Range(0), "pictures": Range(0)})
    if not config.model:
        raise UserError("model='' cannot encode questions: name a model.")
    if not 1 <= config.per_image <= config.batch:
        raise UserError(
            f"per_image={config.per_image} must lie between 1 and batch={config.batch}."
        )
    if config.tower and config.loss.distill:
        raise UserError(
            f"tower={config.tower} has a space of its own, where no caption lies near its image: "
            "set loss.distill=false."
        )
    if config.tower and config.start:
        raise UserError(
            f"start={config.start}: that h read CLIP's features; leave tower empty with it."
        )
