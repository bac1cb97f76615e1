"""The prompt bank: features of the class templates and of all reference prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from aape_jax.corpus import read_corpus
from common.clip import CLIP
from common.data.clip_features import text_features
from common.data.few_shot import class_rows
from common.data.names import readable
from common.data.npz import read_npz
from common.errors import UserError
from common.evaluation.classification import normalise

NO_TOWER = "features"


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
        """The given classes in the given order."""
        chosen = np.asarray(labels)
        sentences = tuple(self.sentences[i] for i in chosen) if self.sentences else ()
        return Bank(self.classes[chosen], self.prompts[chosen], self.mask[chosen], sentences)


def make_bank(
    config: ConfigDict, dataset: str, classnames: Sequence[str], clip: CLIP | None, cache: Path
) -> Bank:
    """Encodes or reads what `config.prompts` and `config.classifier.template` name.

    Raises:
      UserError: a class has no prompts, or there is no text tower to encode them.
    """
    kind, _, where = config.prompts.corpus.partition(":")
    if kind == NO_TOWER:
        return read_bank(Path(where).expanduser(), classnames)
    if clip is None:
        raise UserError(
            f"prompts.corpus={config.prompts.corpus!r} needs a text tower: name one with model=, "
            "or give encoded prompts as prompts.corpus=features:FILE.npz."
        )
    template = class_template(config)
    named = [template.format(readable(name)) for name in classnames]
    if config.prompts.corpus == "none":
        sentences = tuple((text,) for text in named)
    else:
        sentences = read_corpus(config, dataset, classnames)
    flat = [sentence for own in sentences for sentence in own]
    labels = np.repeat(np.arange(len(sentences)), [len(own) for own in sentences])
    features = text_features(clip, flat, cache)
    prompts, mask = by_class(features, labels, len(classnames))
    return Bank(normalise(text_features(clip, named, cache)), prompts, mask, sentences)


def class_template(config: ConfigDict) -> str:
    """The text that a class name is filled into.

    Raises:
      UserError: it has no place for the name.
    """
    template = config.classifier.template
    if template.count("{}") != 1:
        raise UserError(f"classifier.template={template!r} needs one {{}} for the class name.")
    return template


def by_class(
    features: Float[np.ndarray, "b p"], labels: Int[np.ndarray, "b"], classes: int
) -> tuple[Float[np.ndarray, "k n p"], Bool[np.ndarray, "k n"]]:
    """Sorts rows by class: unit length, padded with zeros, and the mask of real rows."""
    rows = class_rows(labels, classes)
    mask = np.arange(rows.rows.shape[1]) < rows.counts[:, None]
    return normalise(features)[rows.rows] * mask[..., None], mask


def read_bank(file: Path, classnames: Sequence[str]) -> Bank:
    """Reads an npz with text features that were encoded elsewhere.

    The file holds `classnames [K]`, `class_features [K,p]` and, for reference prompts,
    `prompt_features [N,p]` with `prompt_labels [N]`; without them each class's own feature is
    its only prompt.

    Raises:
      UserError: an array is missing, the arrays do not fit, or a class has no prompts.
    """
    try:
        arrays = read_npz(file)
    except ValueError as error:
        raise UserError(f"the prompt file {str(file)!r} cannot be read: {error}.") from error
    for name in ("classnames", "class_features"):
        if name not in arrays:
            raise UserError(f"the prompt file {file} holds no array {name!r}.")
    known = {str(name): row for row, name in enumerate(arrays["classnames"])}
    missing = [name for name in classnames if name not in known]
    if missing:
        raise UserError(f"the prompt file {file} has no feature of the class {missing[0]!r}.")
    chosen = [known[name] for name in classnames]
    own = arrays["class_features"]
    if own.ndim != 2 or len(own) != len(known):
        raise UserError(f"class_features of {file} must be [{len(known)},p], not {own.shape}.")
    prompts = arrays.get("prompt_features", own)
    labels = arrays.get("prompt_labels", np.arange(len(own)))
    if prompts.shape != (len(labels), own.shape[1]):
        raise UserError(
            f"prompt_features {prompts.shape} and prompt_labels {labels.shape} of {file} do not "
            f"fit each other and class_features {own.shape}."
        )
    empty = sorted(set(chosen) - set(labels.tolist()))
    if empty:
        raise UserError(
            f"the class {arrays['classnames'][empty[0]]!s} has no prompts in {file}: add some."
        )
    kept = np.isin(labels, chosen)
    renumbered = np.searchsorted(np.sort(chosen), labels[kept])
    order = np.argsort(np.argsort(chosen))
    grouped, mask = by_class(prompts[kept], renumbered, len(chosen))
    return Bank(normalise(own)[chosen], grouped[order], mask[order])
