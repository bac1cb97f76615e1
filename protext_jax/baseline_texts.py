"""Texts that other methods make class features of, and the files that these are made from.

Sources: CLIP (arXiv 2103.00020), CuPL (2209.03320), DCLIP (2210.07183), WaffleCLIP (2306.07282);
section 5 of the paper. CuPL has no sentences about classes that were not trained, where the paper
takes CLIP's number. DCLIP's code writes "which is" before some descriptors, here all "have" them.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from common.data.matching import Matches
from common.data.templates import TEMPLATES, fill
from common.errors import UserError
from common.files import read_strings
from common.names import readable
from common.protocols.corpus import match_texts
from protext_jax.corpus import Corpus, read_corpus
from protext_jax.templates import ATTRIBUTES
from protext_jax.testsets import TestSet

WAFFLE_COUNT = 15  # descriptors per class
DESCRIPTORS = "a photo of a {name}, which has {phrase}."

Groups = list[list[str]]
"""Texts of each class."""


@dataclass(frozen=True)
class Material:
    """What the texts of the baselines are made of.

    Attributes:
      sentences: What the run learned from, by key.
      descriptors: DCLIP's, by key, as sentences; none where the config names no file.
      words: WaffleCLIP's; where there are none, letters stand for them.
    """

    sentences: Corpus
    descriptors: Corpus
    words: tuple[str, ...]
    _told: dict[tuple[str, ...], Matches] = field(default_factory=dict, init=False, repr=False)

    def told(self, test: TestSet) -> Matches:
        """Return which sentences are about which class of a test set; matched once for each."""
        if test.classnames not in self._told:
            matches = match_texts(test.classnames, self.sentences, "the corpus")
            self._told[test.classnames] = matches
        return self._told[test.classnames]


def read_material(config: ConfigDict, sentences: Corpus) -> Material:
    """Read the files of the baselines.

    Raises:
      UserError: One is missing or holds something else.
    """
    words = _read_words(config) if config.words else ()
    descriptors = read_corpus(config.descriptors, DESCRIPTORS) if config.descriptors else {}
    return Material(sentences, descriptors, words)


def _read_words(config: ConfigDict) -> tuple[str, ...]:
    """Return WaffleCLIP's words.

    Raises:
      UserError: `config.words` names no list of words.
    """
    remedy = "give words=FILE, a JSON list of words as WaffleCLIP publishes its own"
    # The published list holds an empty word.
    words = tuple(x for x in read_strings(Path(config.words).expanduser(), remedy) if x.strip())
    if not words:
        raise UserError(f"words={config.words} holds empty words alone: {remedy}.")
    return words


def baseline_texts(config: ConfigDict, test: TestSet, material: Material) -> dict[str, Groups]:
    """Return the texts that each of the wanted baselines averages, for those that have some."""
    wanted = [name for name in _TEXTS if name in ("clip", *config.baselines)]
    texts = {name: _TEXTS[name](config, test, material) for name in wanted}
    return {name: groups for name, groups in texts.items() if groups}


def described(config: ConfigDict, test: TestSet, material: Material) -> Matches:
    """Return which descriptors are about which class of a test set."""
    return match_texts(test.classnames, material.descriptors, source_of(config))


def source_of(config: ConfigDict) -> str:
    """Return how lines and errors call the descriptors."""
    return f"descriptors={config.descriptors}"


def _filled(templates: Sequence[str], test: TestSet) -> Groups:
    names = map(readable, test.classnames)
    return [[template.replace("{}", name) for template in templates] for name in names]


def _waffle(config: ConfigDict, test: TestSet, material: Material) -> Groups:
    """Draw random words and letters in place of descriptors, the same for all classes."""
    generator = np.random.default_rng((config.seed, 0))
    letters = list(string.ascii_lowercase)

    def phrase(index: int) -> str:
        if material.words and index % 2:
            return " ".join(generator.choice(material.words, 2))
        return " ".join("".join(generator.choice(letters, 5)) for _ in range(2))

    phrases = [phrase(index) for index in range(WAFFLE_COUNT)]
    names = map(readable, test.classnames)
    return [[fill(DESCRIPTORS, name=name, phrase=x) for x in phrases] for name in names]


def _cupl(config: ConfigDict, test: TestSet, material: Material) -> Groups:
    """Take the sentences, where all classes have some."""
    del config
    matches = material.told(test)
    if matches.unmatched:
        return []
    return [list(material.sentences[matches.keys[name]]) for name in test.classnames]


def _dclip(config: ConfigDict, test: TestSet, material: Material) -> Groups:
    """Take the descriptors, and the plain template for a class without some, as DCLIP's code."""
    keys = described(config, test, material).keys
    if not keys:
        return []
    own = [material.descriptors[keys[x]] if x in keys else () for x in test.classnames]
    plain = _filled([test.plain], test)
    return [[*phrases] or template for phrases, template in zip(own, plain, strict=True)]


_TEXTS: dict[str, Callable[[ConfigDict, TestSet, Material], Groups]] = {
    "clip": lambda config, test, material: _filled([test.plain], test),
    "clip_80": lambda config, test, material: _filled(TEMPLATES["imagenet"], test),
    "attributes": lambda config, test, material: _filled(ATTRIBUTES, test),
    "waffle_clip": _waffle,
    "cupl": _cupl,
    "dclip": _dclip,
}
BASELINES = tuple(name for name in _TEXTS if name != "clip")
"""What may stand beside "clip", which always does."""
