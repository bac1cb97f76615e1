"""The test sets of the four protocols (section 4 of the paper)."""

from dataclasses import dataclass, replace

import numpy as np
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data import FeatureSplit, ImageSplit, base_new
from common.data.coop_sets import FEW_CLASSES, identify, own_template
from common.data.dataset import select_classes
from common.data.names import readable
from common.errors import UserError
from protext_jax.classnames import open_named
from protext_jax.pictures import require_width
from protext_jax.prompts import CONTEXT, default_template, tokenise
from protext_jax.templates import cross_template
from protext_jax.training_texts import TrainingTexts
from protext_jax.types import AnyDataset


@dataclass(frozen=True)
class TestSet:
    """Pictures of some classes, and how their names are spelled out.

    Attributes:
      prefix: of the metrics' names, e.g. "base/"; empty for the whole of the run's own set.
      known: the paper's name of the data set, or "".
      classnames: k names.
      split: the test pictures.
      template: in front of which the prompts stand.
      plain: CLIP's own template for this data set.
    """

    prefix: str
    known: str
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
    length = config.length if config.mapping == "prompts" else 0
    tokenise(clip.tokenizer, test.template, [readable(x) for x in test.classnames], length)


def make_test_sets(config: ConfigDict, texts: TrainingTexts) -> tuple[TestSet, ...]:
    """Open the test sets of a run: its own data set's, by its protocol, and `targets`.

    Parts of the own data set on which nothing can be measured are left out; `unmeasured` says so.

    Raises:
      UserError: A target cannot be opened, or nothing can be measured on it.
    """
    own = own_test_sets(config, texts)
    return (*own, *(_target(config, spec) for spec in config.targets))


def own_test_sets(config: ConfigDict, texts: TrainingTexts) -> tuple[TestSet, ...]:
    """Return the test sets of a run's own data set, the trained classes first."""
    return tuple(
        _test_set(config, prefix, part, cross=config.protocol == "cross_dataset")
        for prefix, part in _own_parts(config, texts)
        if not fault(part)
    )


def unmeasured(config: ConfigDict, texts: TrainingTexts) -> list[str]:
    """Return a line for each part of the own data set on which nothing is measured."""
    return [
        f"{config.data}{f' ({prefix[:-1]} classes)' if prefix else ''} {found}: nothing is "
        "measured on it."
        for prefix, part in _own_parts(config, texts)
        if (found := fault(part))
    ]


def fault(dataset: AnyDataset) -> str:
    """Return why nothing can be measured on a data set's test part; "" where something can."""
    if len(dataset.classnames) < 2:
        return (
            f"has {len(dataset.classnames)} class to choose from"
            if dataset.classnames
            else ("has no class")
        )
    return "" if len(dataset.test) else "has no test pictures"


def _own_parts(config: ConfigDict, texts: TrainingTexts) -> list[tuple[str, AnyDataset]]:
    if texts.dataset is None:
        return []
    if config.protocol == "base_to_new":
        base, new = base_new(texts.dataset)
        return [("base/", base), ("new/", new)]
    return [("", texts.dataset)]


def _target(config: ConfigDict, spec: str) -> TestSet:
    dataset = open_named(spec, config.holdout, config.names)
    generalisation = config.protocol == "domain_generalisation"
    if generalisation or identify(dataset.name) in FEW_CLASSES:
        dataset = select_classes(dataset, np.unique(dataset.test.labels).tolist())
    if found := fault(dataset):
        raise UserError(f"{spec} {found}, so nothing can be measured on it: name another data set.")
    name = dataset.name.removeprefix("pocket:").replace("/", "-")
    return _test_set(config, f"{name}/", dataset, cross=not generalisation)


def _test_set(config: ConfigDict, prefix: str, dataset: AnyDataset, cross: bool) -> TestSet:
    template = config.test_template or config.template
    if not template:
        short = config.length <= len(CONTEXT.split())
        template = default_template(config.length)
        if cross and short:
            template = cross_template(dataset.name)
    return TestSet(
        prefix=prefix,
        known=identify(dataset.name),
        classnames=dataset.classnames,
        split=dataset.test,
        template=template,
        plain=own_template(dataset.name),
    )


def own_set(config: ConfigDict, spec: str) -> tuple[TestSet, ...]:
    """Open a single other data set, for `protext_jax.evaluate --data`."""
    return (replace(_target(config, spec), prefix=""),)
