"""Texts about classes, opened and not encoded: filled templates, and sentences if there are any."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int
from ml_collections import ConfigDict

from aape_jax.classification.bank import Bank, grouped, read_bank, read_known
from aape_jax.classification.corpus import PER_TEMPLATE, known_sentences, read_corpus
from aape_jax.classification.recipes import class_template
from aape_jax.core.class_features import TEMPLATE
from aape_jax.core.presets import class_kinds
from aape_jax.core.texts import flattened
from common.checks import Unread
from common.clip import CLIP
from common.config import changed
from common.data import open_dataset
from common.data.clip_texts import say_cut, text_features
from common.data.phrases import find_phrases
from common.data.places import local_path
from common.errors import UserError
from common.evaluation.classification import normalise
from common.names import readable
from common.progress import say
from common.text import some

NONE = "none"
"""The `prompts.source` of a run without sentences."""

FEATURES = "features"
"""The kind of a `prompts.source` that is a file of encoded sentences."""

UNREAD = (
    Unread(
        {"prompts.source": (NONE, FEATURES)},
        ("prompts.aliases", "prompts.per_template"),
        "sentences as text, prompts.source=json:FILE",
    ),
)
"""Fields that choose among sentences as text."""


@dataclass(frozen=True)
class BankTexts:
    """The texts of a bank that is not encoded yet.

    Attributes:
      classnames: As the data set spells them.
      class_texts: The filled template of each class.
      sentences: The reference prompts of each class, of which those not learned may have none.
    """

    classnames: tuple[str, ...]
    class_texts: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]

    @property
    def told(self) -> Bool[np.ndarray, "k"]:
        """Which classes have prompts."""
        return np.array([bool(row) for row in self.sentences], bool)

    @property
    def only_templates(self) -> bool:
        """Whether the template is each class's only prompt."""
        return self.sentences == tuple((text,) for text in self.class_texts)

    def tell_cut(self, cut: Collection[str]) -> None:
        """Print for which classes the text tower reads only the first words of sentences."""
        if self.only_templates:
            return  # It is said of the templates.
        cut = set(cut)
        longer = [[text for text in row if text in cut] for row in self.sentences]
        pairs = zip(self.classnames, longer, strict=True)
        named = [f"{name} {len(row)}" for name, row in pairs if row]
        say_cut("sentence", [text for row in longer for text in row], shown=some(named, show=str))


def open_bank(
    config: ConfigDict,
    dataset: str,
    classnames: Sequence[str],
    learned: Int[np.ndarray, "learned"] | None = None,
) -> Bank | BankTexts:
    """Read what `config.prompts` and `config.classifier.template` name.

    Where there are none, each class's template is its only prompt.

    Args:
      config: The run's.
      dataset: The data set's string.
      classnames: Of all its classes.
      learned: Numbers of the classes that cannot do without prompts; None for all.

    Raises:
      UserError: Such a class has no prompts, or there is no text tower to encode them.
    """
    opened = _open_prompts(config, dataset, classnames, learned)
    if _needed(class_kinds(config)) and opened.only_templates:
        taught = "; distillation teaches nothing else, so loss.distill=false may be better"
        say(
            f"prompts.source={config.prompts.source} has no sentences: the template's feature "
            f"stands for every class{taught if config.loss.distill else ''}."
        )
    return opened


def _open_prompts(
    config: ConfigDict,
    dataset: str,
    classnames: Sequence[str],
    learned: Int[np.ndarray, "learned"] | None,
) -> Bank | BankTexts:
    if file := features_file(config):
        return read_bank(file, classnames, learned)
    class_texts = _class_texts(config, dataset, classnames)
    if config.prompts.source == NONE:
        sentences = tuple((text,) for text in class_texts)
    else:
        sentences = read_corpus(config, dataset, classnames, learned)
    return BankTexts(tuple(classnames), class_texts, sentences)


def encode_bank(opened: Bank | BankTexts, clip: CLIP | None, cache: Path) -> Bank:
    """Return the features of all sentences, or the bank as it was read."""
    if isinstance(opened, Bank):
        return opened
    tell_cut = partial(say_cut, "filled template")
    classes = normalise(text_features(clip, opened.class_texts, cache, tell_cut))
    flat, labels = flattened(opened.sentences)
    encoded = normalise(text_features(clip, flat, cache, opened.tell_cut)) if flat else classes[:0]
    return Bank(classes, *grouped(encoded, labels, len(classes)), opened.sentences)


def open_classes(
    config: ConfigDict,
    dataset: str,
    classnames: Sequence[str],
    kinds: Collection[str],
    numbered: Sequence[str] = (),
) -> Bank | BankTexts:
    """Describe classes that need no prompts: those of another data set, or any at all.

    Sentences are looked for where class features are made of them.

    Args:
      config: The run's.
      dataset: The data set's string.
      classnames: Of these classes.
      kinds: What stands for the classes, keys of `CLASS_FEATURES`.
      numbered: The classes of the run's own data set, where it is open.

    Raises:
      UserError: A class is not in the file of features, or there is no text tower.
    """
    needed = _needed(kinds)
    if file := features_file(config):
        return read_known(file, classnames, with_prompts=needed)
    class_texts = _class_texts(config, dataset, classnames)
    if needed and config.prompts.source != NONE:
        numbered = numbered or _numbered(config)
        sentences = known_sentences(config, dataset, classnames, numbered)
    else:
        sentences = ((),) * len(classnames)
    return BankTexts(tuple(classnames), class_texts, sentences)


def say_untold(
    config: ConfigDict,
    kinds: Collection[str],
    classnames: Sequence[str],
    told: Bool[np.ndarray, "k"],
) -> None:
    """Print which classes have no sentence, where others have some."""
    untold = [name for name, known in zip(classnames, told, strict=True) if not known]
    if untold and _needed(kinds) and config.prompts.source != NONE:
        say(
            f"{config.prompts.source} has no sentence of {some(untold)}: the template's feature "
            "stands for what has none."
        )


def without_lost_sentences(config: ConfigDict, kinds: Collection[str]) -> ConfigDict:
    """Return the config of a run whose file of sentences may have stayed elsewhere.

    A published run does not bring it along. Other classes than the learned ones can do without.

    Args:
      config: The run's.
      kinds: What stands for the classes, keys of `CLASS_FEATURES`.
    """
    kind, _, where = config.prompts.source.partition(":")
    if kind != "json" or not _needed(kinds) or find_phrases(where).exists():
        return config
    say(f"{where} is missing: the template's feature stands for every class.")
    return changed(config, {"prompts.source": NONE})


def _needed(kinds: Collection[str]) -> bool:
    """Return whether class features of some kinds are made of sentences."""
    return not set(kinds) <= {TEMPLATE}


def _numbered(config: ConfigDict) -> tuple[str, ...]:
    """Return the classes whose sentences were drawn by their number; () where none are drawn."""
    if config.prompts.per_template == PER_TEMPLATE:
        return ()
    return open_dataset(config.data, holdout=config.holdout).classnames


def features_file(config: ConfigDict) -> Path | None:
    """Return the file of `prompts.source=features:FILE.npz`; None where sentences are encoded."""
    kind, _, where = config.prompts.source.partition(":")
    return local_path(where) if kind == FEATURES else None


def _class_texts(config: ConfigDict, dataset: str, classnames: Sequence[str]) -> tuple[str, ...]:
    if not config.model:
        raise UserError(
            f"prompts.source={config.prompts.source!r} needs a text tower: name one with model=, "
            "or give encoded prompts as prompts.source=features:FILE.npz."
        )
    template = class_template(config.classifier.template, dataset)
    return tuple(template.replace("{}", readable(name)) for name in classnames)
