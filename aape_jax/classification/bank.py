"""The prompt bank: features of the class templates and of all reference prompts; as a file, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from aape_jax.core.class_features import CLASS_FEATURES
from aape_jax.core.texts import by_class
from common.data.checks import require_features, require_labels, require_names
from common.data.feature_files import read_feature_file
from common.data.matching import match_names, require_matches
from common.errors import UserError
from common.evaluation.classification import normalise


@dataclass(frozen=True, eq=False)
class Bank:
    """Text features of k classes, unit length.

    Attributes:
      classes: Of the filled template, `[k p]`.
      prompts: P, padded with zeros, `[k n p]`; classes that are not learned may have none.
      mask: Which prompts there are, `[k n]`.
      sentences: The prompts as text; empty where only features are known.
    """

    classes: Float[np.ndarray, "k p"]
    prompts: Float[np.ndarray, "k n p"]
    mask: Bool[np.ndarray, "k n"]
    sentences: tuple[tuple[str, ...], ...] = ()

    @property
    def told(self) -> Bool[np.ndarray, "k"]:
        """Which classes have prompts."""
        return self.mask.any(axis=1)

    @cached_property
    def means(self) -> Float[np.ndarray, "k p"]:
        """pbar of each class, at unit length: CuPL's classifier.

        Of a class without prompts it is the template's feature.
        """
        return np.where(self.told[:, None], normalise(self.prompts.sum(axis=1)), self.classes)

    @property
    def only_templates(self) -> bool:
        """Whether the template is each class's only prompt."""
        return bool(self.told.all()) and np.allclose(self.means, self.classes)

    def features(self, kind: str) -> Float[np.ndarray, "k p"]:
        """Return `w_i` of each class as a key of `CLASS_FEATURES` says."""
        return CLASS_FEATURES[kind](self)

    def take(self, labels: Sequence[int] | Int[np.ndarray, "chosen"]) -> "Bank":
        """Return the given classes in the given order."""
        chosen = np.asarray(labels)
        sentences = tuple(self.sentences[i] for i in chosen) if self.sentences else ()
        return Bank(self.classes[chosen], self.prompts[chosen], self.mask[chosen], sentences)

    def told_by(self, other: "Bank", rows: Int[np.ndarray, "k"]) -> "Bank":
        """Return these classes with the prompts of another bank's rows; a class at -1 has none."""
        known, longest = rows >= 0, max(self.mask.shape[1], other.mask.shape[1])
        prompts, mask = (_widened(x, longest) for x in (self.prompts, self.mask))
        prompts[known] = _widened(other.prompts, longest)[rows[known]]
        mask[known] = _widened(other.mask, longest)[rows[known]]
        return Bank(self.classes, prompts, mask)


def _widened(array: np.ndarray, columns: int) -> np.ndarray:
    """Return a copy of `[k n ...]` that is filled up with zeros."""
    more = (0, columns - array.shape[1])
    return np.pad(array, [(0, 0), more, *[(0, 0)] * (array.ndim - 2)])


def grouped(
    features: Float[np.ndarray, "b p"], labels: Int[np.ndarray, "b"], classes: int
) -> tuple[Float[np.ndarray, "k n p"], Bool[np.ndarray, "k n"]]:
    """Sort prompts of unit length as `by_class` does, where classes may have none."""
    told = np.unique(labels)
    if not len(told):
        return np.zeros((classes, 0, features.shape[1]), np.float32), np.zeros((classes, 0), bool)
    some, real = by_class(features, np.searchsorted(told, labels), len(told))
    if len(told) == classes:
        return some, real
    prompts = np.zeros((classes, *some.shape[1:]), some.dtype)
    mask = np.zeros((classes, real.shape[1]), bool)
    prompts[told], mask[told] = some, real
    return prompts, mask


def read_bank(
    file: Path, classnames: Sequence[str], learned: Int[np.ndarray, "learned"] | None = None
) -> Bank:
    """Read an npz with text features that were encoded elsewhere.

    The file holds `classnames [K]`, `class_features [K,p]` and, for reference prompts,
    `prompt_features [N,p]` with `prompt_labels [N]`; without them each class's own feature is
    its only prompt.

    Args:
      file: The npz.
      classnames: Of all classes.
      learned: Numbers of the classes that cannot do without prompts; None for all.

    Raises:
      UserError: An array is missing, the arrays do not fit, or such a class has no prompts.
    """
    arrays, rows = _read_classes(file, classnames)
    bank = _bank(arrays, rows, file)
    lacking = ~bank.told if learned is None else ~bank.told & np.isin(np.arange(len(rows)), learned)
    if lacking.any():
        name = arrays["classnames"][rows[lacking].min()]
        raise UserError(f"the class {name!s} has no prompts in {file}: add some.")
    return bank


def read_known(file: Path, classnames: Sequence[str], with_prompts: bool = True) -> Bank:
    """Read what such a file has of classes that can do without prompts, or without reading any.

    Raises:
      UserError: An array is missing, or the arrays do not fit.
    """
    arrays, rows = _read_classes(file, classnames)
    if with_prompts:
        return _bank(arrays, rows, file)
    classes = normalise(arrays["class_features"])[rows]
    return Bank(classes, *grouped(classes[:0], np.zeros(0, int), len(rows)))


def _bank(arrays: dict[str, np.ndarray], rows: Int[np.ndarray, "k"], file: Path) -> Bank:
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
    used = np.isin(labels, rows)
    distinct, place = np.unique(rows, return_inverse=True)
    sorted_prompts, mask = grouped(
        normalise(prompts[used]), np.searchsorted(distinct, labels[used]), len(distinct)
    )
    return Bank(normalise(class_features)[rows], sorted_prompts[place], mask[place])


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
