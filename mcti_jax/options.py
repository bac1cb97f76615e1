"""Which values of a config make sense, checked before models and photos are touched."""

from collections.abc import Iterable, Mapping

from ml_collections import ConfigDict

from common.attention import CHOICES
from common.checks import POSITIVE, Range, Ranges, Unread, check_choices, check_ranges
from common.data.templates import TEMPLATES
from common.diffusion import SAMPLERS
from common.diffusion.bounds import COUNTS, GUIDANCE
from common.diffusion.resnet import REMAT
from common.diffusion.words import BRACKETED
from common.errors import UserError
from common.photos.images import FITS
from common.precision import frozen_dtype
from common.training.config_fields import RANGES as SHARED
from common.training.rates import DECAYS
from mcti_jax.objective import CLASSIFICATIONS, GAMMA_SCHEDULES
from mcti_jax.picture_size import parse_aspect
from mcti_jax.prompts import POOLS

OF_A_SET = 5  # photos per class of the published recipe
ONES_OWN = ("folder:", "memory:")  # kinds of data sets that papers do not share

AUTO = "auto"

RANGES: Ranges = {
    **SHARED,
    "classes": Range(0),
    "shots_seed": Range(0),
    "vectors": Range(1, 64),
    "alpha": Range(0),
    "gamma": Range(0),
    "logit_scale": POSITIVE,
    "joint.logit_scale": POSITIVE,
    "feature_draws": Range(1, 1024),
    "samples": Range(1, 4096),
    "joint.weight": POSITIVE,
    "joint.photos": Range(0),
    "learning_rate": POSITIVE,
    "beta1": Range(0, 0.999999),
    "beta2": Range(0, 0.99999999),
    "resolution": Range(0, 4096),
    "classes_per_chunk": Range(0),
    "generate.per_class": Range(0, 1024),
    "generate.rows": Range(0),
    "generate.steps": Range(1),
    "generate.batch": COUNTS["batch"],
    "generate.guidance": GUIDANCE,
    "preview.number": Range(1, 64),
    "preview.classes": Range(0),
    "preview.seed": COUNTS["seed"],
}

NAMES: Mapping[str, Iterable[str]] = {
    "attention": CHOICES,
    "remat": REMAT,
    "pool": POOLS,
    "class_tower": ("clip", "sd"),
    "classification": (AUTO, *CLASSIFICATIONS),
    "gamma_schedule": GAMMA_SCHEDULES,
    "templates": TEMPLATES,
    "fit": FITS,
    "generate.sampler": SAMPLERS,
    "rate.schedule": DECAYS,
}

_OF_DRAWS = ("feature_draws", "shared_features")
_OF_JOINT = ("joint.logit_scale", "joint.photos", "joint.weight")
UNREAD = (
    Unread(
        {"gamma": (0,)}, (*_OF_DRAWS, *_OF_JOINT, "gamma_schedule", "prototypes"), "gamma above 0"
    ),
    Unread({"classification": ("joint",)}, ("logit_scale", *_OF_DRAWS), "classification=both"),
    Unread({"classification": ("paper",)}, _OF_JOINT, "classification=both"),
    Unread(
        {"gamma_schedule": ("constant",)},
        ("gamma_end", "gamma_horizon"),
        "gamma_schedule=exponential",
    ),
    # Neither term reads prompts of photos.
    Unread(
        {"alpha": (0,), "classification": ("joint",)},
        ("captions",),
        "alpha=1 or classification=both",
    ),
)
"""Fields of the objective that not every form of it has."""


def check_values(config: ConfigDict) -> None:
    """Refuse numbers out of range and unknown names, in whatever field.

    Raises:
      UserError: It names the first such field, its value and what may stand there.
    """
    check_ranges(config, RANGES)
    check_choices(config, NAMES)
    frozen_dtype(config.dtype, "cpu")  # The name alone: a cluster may not be joined yet.
    parse_aspect(config.aspect)
    check_template("generate.prompt", config.generate.prompt)
    check_start(config)


def check_start(config: ConfigDict) -> None:
    """Refuse fields about tokens of an earlier run that contradict each other.

    Raises:
      UserError: It names them.
    """
    if config.add and config.learn:
        raise UserError(
            f"add={config.add!r} learns the classes of that data set alone: leave out "
            f"learn={', '.join(config.learn)}."
        )
    if config.add and not config.start:
        raise UserError(
            f"add={config.add!r} needs the tokens of the other classes: give the run that learned "
            "them as start=RUN, and its photos as data=."
        )


def check_template(name: str, prompt: str) -> None:
    """Refuse a prompt without exactly one `{}` for the learned word; other braces are text.

    Raises:
      UserError: It names the prompt.
    """
    if prompt.count("{}") != 1:
        raise UserError(f"{name}={prompt!r} needs one {{}} for the learned word.")
    if other := BRACKETED.search(prompt.replace("{}", " ")):
        raise UserError(
            f"{name}={prompt!r} names {other[0]}, but each class has the word at {{}} alone: "
            "leave it out, and draw such prompts with mcti_jax.generate."
        )


def shots_of(config: ConfigDict) -> int:
    """Return photos per class to learn from, 0 for all, where the config leaves it to the data.

    Photos of one's own are all used; of the sets that papers share, as many as the paper takes.
    """
    if config.shots >= 0:
        return config.shots
    return 0 if config.data.startswith(ONES_OWN) else OF_A_SET


def classification_of(config: ConfigDict) -> str:
    """Return the term that tells classes apart, by the other fields if the config leaves it open.

    Beside denoising the paper's term stays; without it, the joint one alone classifies best.
    """
    if config.classification != AUTO:
        return config.classification
    if not config.gamma:
        return "paper"
    return "both" if config.alpha else "joint"
