"""Class features that other methods make of the same model and the same texts.

Sources: CLIP (arXiv 2103.00020), CuPL (2209.03320), DCLIP (2210.07183), WaffleCLIP (2306.07282);
section 5 of the paper. CuPL has no sentences about classes that were not trained, where the paper
takes CLIP's number. DCLIP's code writes "which is" before some descriptors, here all "have" them.
"""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data.clip_texts import say_cut, text_features
from common.data.matching import Matches, require_matches
from common.data.names import readable
from common.data.templates import TEMPLATES, fill
from common.errors import UserError
from common.evaluation.classification import normalise
from common.files import read_strings
from common.protocols.corpus import match_texts
from common.protocols.models import cache_of
from common.text import some
from protext_jax.corpus import Corpus, read_corpus
from protext_jax.templates import ATTRIBUTES
from protext_jax.testsets import TestSet

WAFFLE_COUNT = 15  # descriptors per class
DESCRIPTORS = "a photo of a {name}, which has {phrase}."

MEAN_SIMILARITY = ("waffle_clip", "dclip")
"""These average cosines, so their class features are means and not scaled to unit length."""

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


def text_baselines(
    config: ConfigDict, clip: CLIP, tests: Sequence[TestSet], material: Material
) -> dict[str, dict[str, Float[np.ndarray, "k p"]]]:
    """Return the class features `[k p]` of each baseline, by set's prefix and baseline's name.

    A baseline that has no texts about a set's classes is left out.

    Args:
      config: The run's.
      clip: The model.
      tests: Whose classes.
      material: What the texts are made of.
    """
    texts = {test.prefix: baseline_texts(config, test, material) for test in tests}
    flat = [
        x
        for by_name in texts.values()
        for groups in by_name.values()
        for group in groups
        for x in group
    ]
    # All at once, so that every length of text is compiled for once.
    features = text_features(clip, flat, cache_of(config), partial(say_cut, "baseline text"))
    features = normalise(features)
    feature = dict(zip(flat, features, strict=True))

    def ensemble(name: str, groups: Groups) -> Float[np.ndarray, "k p"]:
        means = np.stack([np.mean([feature[x] for x in group], axis=0) for group in groups])
        return means if name in MEAN_SIMILARITY else normalise(means)

    return {
        prefix: {name: ensemble(name, groups) for name, groups in by_name.items()}
        for prefix, by_name in texts.items()
    }


def baseline_texts(config: ConfigDict, test: TestSet, material: Material) -> dict[str, Groups]:
    """Return the texts that each of the wanted baselines averages, for those that have some."""
    wanted = [name for name in _TEXTS if name in ("clip", *config.baselines)]
    texts = {name: _TEXTS[name](config, test, material) for name in wanted}
    return {name: groups for name, groups in texts.items() if groups}


def described(config: ConfigDict, test: TestSet, material: Material) -> Matches:
    """Return which descriptors are about which class of a test set."""
    return match_texts(test.classnames, material.descriptors, _source(config))


def check_baselines(config: ConfigDict, tests: Sequence[TestSet], material: Material) -> list[str]:
    """Return what a person should know of the descriptors, a line each.

    Raises:
      UserError: They name none of the classes.
    """
    if not config.descriptors:
        return []
    corpus, lines = material.descriptors, []
    matched = [(test, described(config, test, material)) for test in tests]
    if matched and not any(matches.keys for _, matches in matched):
        names = [name for test in tests for name in test.classnames]
        require_matches(matched[0][1], names, list(corpus), _source(config))
    for test, matches in matched:
        source = f"{_source(config)} for {test.prefix or 'the test'}"
        if not matches.keys:
            lines.append(
                f"{source}: none of the {len(test.classnames)} classes is named; no dclip."
            )
            continue
        lines += matches.report(source)
        empty = [name for name, key in matches.keys.items() if not corpus[key]]
        if empty:
            lines.append(f"{source}: the lists of {some(empty)} are empty.")
        if empty or matches.unmatched:
            lines.append("dclip takes the plain template for classes without descriptors.")
    return list(dict.fromkeys(lines))


def check_cupl(config: ConfigDict, tests: Sequence[TestSet], material: Material) -> list[str]:
    """Return a line that names the test sets on which CuPL has CLIP's number, if there are any."""
    if "cupl" not in config.baselines:
        return []
    untold = [(test, len(material.told(test).unmatched)) for test in tests]
    shown = [
        f"{test.prefix.removesuffix('/') or 'the test'} ({count} of {len(test.classnames)})"
        for test, count in untold
        if count
    ]
    if not shown:
        return []
    return [f"cupl has clip's number where classes are without sentences: {', '.join(shown)}."]


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


def combined(features: Sequence[Float[np.ndarray, "k p"]]) -> Float[np.ndarray, "k p"]:
    """Return unit class features of several methods, averaged with equal weight."""
    return normalise(sum(features) / len(features))


def _source(config: ConfigDict) -> str:
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
