"""The prompt bank: features of the class templates and of all reference prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from aape_jax.classification.corpus import read_corpus
from aape_jax.classification.recipes import class_template
from aape_jax.core.texts import by_class, flattened
from common.clip import CLIP
from common.data.checks import require_features, require_labels, require_names
from common.data.clip_features import text_features
from common.data.feature_files import read_feature_file
from common.data.matching import match_names, require_matches
from common.data.names import readable
from common.data.places import local_path
from common.errors import UserError
from common.evaluation.classification import normalise


@dataclass(frozen=True, eq=False)
class Bank:
    """Text features of k classes, unit length.

    Attributes:
      classes: Of the filled template, `w_i`, `[k p]`.
      prompts: P, padded with zeros, `[k n p]`.
      mask: Which prompts there are, `[k n]`.
      sentences: The prompts as text; empty where only features are known.
    """

    classes: Float[np.ndarray, "k p"]
    prompts: Float[np.ndarray, "k n p"]
    mask: Bool[np.ndarray, "k n"]
    sentences: tuple[tuple[str, ...], ...] = ()

    @property
    def means(self) -> Float[np.ndarray, "k p"]:
        """pbar of each class, at unit length: CuPL's classifier."""
        total = (self.prompts * self.mask[..., None]).sum(axis=1)
        return normalise(total)

    def take(self, labels: Sequence[int] | Int[np.ndarray, "chosen"]) -> "Bank":
        """Return the given classes in the given order."""
        chosen = np.asarray(labels)
        sentences = tuple(self.sentences[i] for i in chosen) if self.sentences else ()
        return Bank(self.classes[chosen], self.prompts[chosen], self.mask[chosen], sentences)


@dataclass(frozen=True)
class BankTexts:
    """What a bank is made of where nothing is encoded yet.

    Attributes:
      class_texts: The filled template of each class.
      sentences: The reference prompts of each class.
    """

    class_texts: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]


ClassTexts = tuple[str, ...] | np.ndarray
"""The filled template of each class, or its features, `[k p]`, of unit length."""


def open_bank(config: ConfigDict, dataset: str, classnames: Sequence[str]) -> Bank | BankTexts:
    """Read what `config.prompts` and `config.classifier.template` name.

    Raises:
      UserError: a class has no prompts, or there is no text tower to encode them.
    """
    if file := features_file(config):
        return read_bank(file, classnames)
    class_texts = _class_texts(config, dataset, classnames)
    if config.prompts.source == "none":
        return BankTexts(class_texts, tuple((text,) for text in class_texts))
    return BankTexts(class_texts, read_corpus(config, dataset, classnames))


def encode_bank(opened: Bank | BankTexts, clip: CLIP | None, cache: Path) -> Bank:
    """Return the features of all sentences, or the bank as it was read."""
    if isinstance(opened, Bank):
        return opened
    flat, labels = flattened(opened.sentences)
    prompts, mask = by_class(text_features(clip, flat, cache), labels, len(opened.class_texts))
    return Bank(encode_classes(opened.class_texts, clip, cache), prompts, mask, opened.sentences)


def open_classes(config: ConfigDict, dataset: str, classnames: Sequence[str]) -> ClassTexts:
    """Describe classes that need no prompts: those of another data set.

    Raises:
      UserError: a class is not in the file of features, or there is no text tower.
    """
    if file := features_file(config):
        arrays, rows = _read_classes(file, classnames)
        return normalise(arrays["class_features"])[rows]
    return _class_texts(config, dataset, classnames)


def encode_classes(texts: ClassTexts, clip: CLIP | None, cache: Path) -> Float[np.ndarray, "k p"]:
    """Return `w_i` of each class."""
    return texts if isinstance(texts, np.ndarray) else normalise(text_features(clip, texts, cache))


def features_file(config: ConfigDict) -> Path | None:
    """Return the file of `prompts.source=features:FILE.npz`; None where sentences are encoded."""
    kind, _, where = config.prompts.source.partition(":")
    return local_path(where) if kind == "features" else None


def _class_texts(config: ConfigDict, dataset: str, classnames: Sequence[str]) -> tuple[str, ...]:
    if not config.model:
        raise UserError(
            f"prompts.source={config.prompts.source!r} needs a text tower: name one with model=, "
            "or give encoded prompts as prompts.source=features:FILE.npz."
        )
    template = class_template(config.classifier.template, dataset)
    return tuple(template.replace("{}", readable(name)) for name in classnames)


def read_bank(file: Path, classnames: Sequence[str]) -> Bank:
    """Read an npz with text features that were encoded elsewhere.

    The file holds `classnames [K]`, `class_features [K,p]` and, for reference prompts,
    `prompt_features [N,p]` with `prompt_labels [N]`; without them each class's own feature is
    its only prompt.

    Raises:
      UserError: an array is missing, the arrays do not fit, or a class has no prompts.
    """
    arrays, rows = _read_classes(file, classnames)
    class_features = arrays["class_features"]
    prompts = arrays.get("prompt_features", class_features)
    labels = arrays.get("prompt_labels", np.arange(len(class_features)))
    if prompts.shape != (*labels.shape, class_features.shape[1]):
        raise UserError(
            f"prompt_features {prompts.shape} and prompt_labels {labels.shape} of {file} do not "
            f"fit each other and class_features {class_features.shape}: write a row and a label "
            "for each prompt."
        )
    prompts = require_features(prompts, f"prompt_features of {file}")
    labels = require_labels(labels, len(class_features), f"prompt_labels of {file}")
    empty = sorted(set(rows.tolist()) - set(labels.tolist()))
    if empty:
        raise UserError(
            f"the class {arrays['classnames'][empty[0]]!s} has no prompts in {file}: add some."
        )
    used = np.isin(labels, rows)
    distinct, place = np.unique(rows, return_inverse=True)
    grouped, mask = by_class(prompts[used], np.searchsorted(distinct, labels[used]), len(distinct))
    return Bank(normalise(class_features)[rows], grouped[place], mask[place])


def _read_classes(
    file: Path, classnames: Sequence[str]
) -> tuple[dict[str, np.ndarray], Int[np.ndarray, "k"]]:
    """Return the arrays of a file, and the row of each class in it."""
    arrays = read_feature_file(file)
    for name in ("classnames", "class_features"):
        if name not in arrays:
            raise UserError(f"the prompt file {file} holds no array {name!r}: add it.")
    names = list(require_names(arrays["classnames"], f"classnames of {file}"))
    features = arrays["class_features"]
    if features.ndim != 2 or len(features) != len(names):
        raise UserError(
            f"class_features of {file} must be [{len(names)},p], not {features.shape}: write a row "
            "for each class."
        )
    arrays["class_features"] = require_features(features, f"class_features of {file}")
    if names == list(classnames):  # Names may occur twice, as two of ImageNet's do.
        return arrays, np.arange(len(names))
    row_of = {name: row for row, name in enumerate(names)}
    matches = match_names(classnames, row_of, f"the prompt file {file}")
    require_matches(matches, classnames, row_of, f"the prompt file {file}")
    if matches.unmatched:
        raise UserError(
            f"the prompt file {file} has no feature of the class {matches.unmatched[0]!r}: add it, "
            "or spell it as the data set does."
        )
    return arrays, np.array([row_of[matches.keys[name]] for name in classnames])
