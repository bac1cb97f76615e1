"""The test sets of the four protocols (section 4 of the paper)."""

from dataclasses import dataclass, replace

from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import FeatureSplit, ImageSplit, OpenedDataset
from common.data.coop_sets import FEW_CLASSES, identify, own_template
from common.names import readable
from common.protocols.measured import (
    fault,
    idle_line,
    measurable,
    require_distinct,
    target_prefix,
)
from common.protocols.table import CROSS_DATASET, DOMAIN_GENERALISATION
from protext_jax.classnames import open_named
from protext_jax.pictures import require_width
from protext_jax.prompts import CONTEXT, overwritten, tokenise, training_template
from protext_jax.templates import cross_template
from protext_jax.training_texts import TrainingTexts

PICTURES = "pictures"
"""What sentences call the photos of a test set."""


@dataclass(frozen=True)
class TestSet:
    """Pictures of some classes, and how their names are spelled out.

    Attributes:
      prefix: Of the metrics' names, e.g. "base/"; empty for the whole of the run's own set.
      paper_name: The paper's name of the data set, or "".
      classnames: k names.
      split: The test pictures.
      template: What the prompts stand in front of.
      plain: CLIP's own template for this data set.
    """

    prefix: str
    paper_name: str
    classnames: tuple[str, ...]
    split: ImageSplit | FeatureSplit
    template: str
    plain: str


def check_test_set(config: ConfigDict, clip: CLIP, test: TestSet) -> None:
    """Refuse what could not be measured, before anything is trained.

    Raises:
      UserError: The features are another model's, or the prompts do not fit the template.
    """
    require_width(clip, test.split)
    names = [readable(x) for x in test.classnames]
    tokenise(clip.tokenizer, test.template, names, overwritten(config))


def make_test_sets(config: ConfigDict, texts: TrainingTexts) -> tuple[TestSet, ...]:
    """Open the test sets of a run: its own data set's, by its protocol, and `targets`.

    Parts of the own data set on which nothing can be measured are left out; `unmeasured` says so.

    Raises:
      UserError: A target cannot be opened, nothing can be measured on it, or two have one name.
    """
    targets = [_target(config, spec) for spec in config.targets]
    require_distinct([*zip(config.targets, (test.prefix for test in targets), strict=True)])
    return (*own_test_sets(config, texts), *targets)


def own_test_sets(config: ConfigDict, texts: TrainingTexts) -> tuple[TestSet, ...]:
    """Return the test sets of a run's own data set, the trained classes first."""
    return tuple(
        _test_set(config, prefix, part, cross=config.protocol == CROSS_DATASET)
        for prefix, part in texts.parts.items()
        if not _fault(part)
    )


def unmeasured(config: ConfigDict, texts: TrainingTexts) -> list[str]:
    """Return a line for each part of the own data set on which nothing is measured."""
    return [
        idle_line(config.data, prefix, reason)
        for prefix, part in texts.parts.items()
        if (reason := _fault(part))
    ]


def _fault(dataset: OpenedDataset) -> str:
    return fault(len(dataset.classnames), len(dataset.test), PICTURES)


def _target(config: ConfigDict, spec: str) -> TestSet:
    # No picture was learned from, so that all of a set without a test part are measured on.
    dataset = open_named(spec, None, config.names)
    generalisation = config.protocol == DOMAIN_GENERALISATION
    shown_alone = generalisation or identify(dataset.name) in FEW_CLASSES
    dataset = measurable(spec, dataset, shown_alone=shown_alone, called=PICTURES)
    return _test_set(config, target_prefix(dataset), dataset, cross=not generalisation)


def _test_set(config: ConfigDict, prefix: str, dataset: OpenedDataset, cross: bool) -> TestSet:
    template = config.test_template or config.template
    if not template:
        short = overwritten(config) <= len(CONTEXT.split())
        template = training_template(config)
        if cross and short:
            template = cross_template(dataset.name)
    return TestSet(
        prefix=prefix,
        paper_name=identify(dataset.name),
        classnames=dataset.classnames,
        split=dataset.test,
        template=template,
        plain=own_template(dataset.name),
    )


def own_set(config: ConfigDict, spec: str) -> tuple[TestSet, ...]:
    """Open a single other data set, for `protext_jax.evaluate --data`."""
    return (replace(_target(config, spec), prefix=""),)
