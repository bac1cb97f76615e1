"""Class features that other methods make of the same model and the same texts.

Sources: CLIP (arXiv 2103.00020), CuPL (2209.03320), DCLIP (2210.07183), WaffleCLIP (2306.07282);
section 5 of the paper. CuPL has no sentences about classes that were not trained, where the paper
takes CLIP's number. DCLIP's code writes "which is" before some descriptors, here all "have" them.
"""

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data.clip_features import text_features
from common.data.matching import Matches, require_matches
from common.data.names import readable
from common.data.templates import TEMPLATES, fill
from common.errors import UserError
from common.evaluation.classification import normalise
from common.files import read_strings
from common.protocols.corpus import match_texts
from common.text import some
from protext_jax.corpus import Corpus, read_corpus
from protext_jax.templates import ATTRIBUTES
from protext_jax.testsets import TestSet

WAFFLE_COUNT = 15  # descriptors per class
DESCRIPTORS = "a photo of a {name}, which has {phrase}."


BASELINES = ("clip_80", "attributes", "waffle_clip", "cupl", "dclip")
"""What may stand beside "clip", which always does."""
MEAN_SIMILARITY = ("waffle_clip", "dclip")
"""These average cosines, so their class features are means and not scaled to unit length."""

Groups = list[list[str]]
"""Texts of each class."""


def text_baselines(
    config: ConfigDict, clip: CLIP, tests: Sequence[TestSet], sentences: Corpus
) -> dict[str, dict[str, Float[np.ndarray, "k p"]]]:
    """Return the class features `[k p]` of each baseline, by set's prefix and baseline's name.

    Where some class of a set has no sentence, "cupl" is the same array as "clip".

    Args:
      config: The run's.
      clip: The model.
      tests: Whose classes.
      sentences: What the run learned from, by key.
    """
    texts = {test.prefix: baseline_texts(config, test, sentences) for test in tests}
    flat = [
        x
        for by_name in texts.values()
        for groups in by_name.values()
        for group in groups
        for x in group
    ]
    # All at once, so that every length of text is compiled for once.
    features = normalise(text_features(clip, flat, Path(config.cache).expanduser()))
    feature = dict(zip(flat, features, strict=True))

    def ensemble(name: str, groups: Groups) -> Float[np.ndarray, "k p"]:
        means = np.stack([np.mean([feature[x] for x in group], axis=0) for group in groups])
        return means if name in MEAN_SIMILARITY else normalise(means)

    classifiers = {
        prefix: {name: ensemble(name, groups) for name, groups in by_name.items()}
        for prefix, by_name in texts.items()
    }
    if "cupl" in config.baselines:
        for by_name in classifiers.values():
            by_name.setdefault("cupl", by_name["clip"])
    return classifiers


def baseline_texts(config: ConfigDict, test: TestSet, sentences: Corpus) -> dict[str, Groups]:
    """Return the texts that each baseline averages; "cupl" where all classes have some."""
    names = [readable(name) for name in test.classnames]
    texts: dict[str, Groups] = {
        "clip": _filled([test.plain], names),
        "clip_80": _filled(TEMPLATES["imagenet"], names),
        "attributes": _filled(ATTRIBUTES, names),
        "waffle_clip": _waffle(config, names),
    }
    matches = match_texts(test.classnames, sentences, "the corpus")
    if not matches.unmatched:
        texts["cupl"] = [list(sentences[matches.keys[name]]) for name in test.classnames]
    if config.descriptors:
        corpus = read_corpus(config.descriptors, DESCRIPTORS)
        descriptors = described(config, corpus, test)
        # A class without descriptors keeps its plain template, as in DCLIP's code.
        if descriptors.keys:
            texts["dclip"] = [
                [*_phrases(corpus, descriptors, name)] or [test.plain.replace("{}", readable(name))]
                for name in test.classnames
            ]
    return {name: groups for name, groups in texts.items() if name in ("clip", *config.baselines)}


def described(config: ConfigDict, corpus: Corpus, test: TestSet) -> Matches:
    """Return which descriptors are about which class of a test set."""
    return match_texts(test.classnames, corpus, _source(config))


def check_baselines(config: ConfigDict, tests: Sequence[TestSet] = ()) -> list[str]:
    """Read the files of the baselines, so that a broken one is found before training.

    Returns:
      What a person should know of them, a line each.

    Raises:
      UserError: One is missing or holds something else, or names none of the classes.
    """
    if config.words:
        read_words(config)
    if not config.descriptors:
        return []
    corpus, lines = read_corpus(config.descriptors, DESCRIPTORS), []
    matched = [(test, described(config, corpus, test)) for test in tests]
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


def read_words(config: ConfigDict) -> list[str]:
    """Return WaffleCLIP's words.

    Raises:
      UserError: `config.words` names no list of words.
    """
    remedy = "give words=FILE, a JSON list of words as WaffleCLIP publishes its own"
    # The published list holds an empty word.
    words = [x for x in read_strings(Path(config.words).expanduser(), remedy) if x.strip()]
    if not words:
        raise UserError(f"words={config.words} holds empty words alone: {remedy}.")
    return words


def combined(features: Sequence[Float[np.ndarray, "k p"]]) -> Float[np.ndarray, "k p"]:
    """Return unit class features of several methods, averaged with equal weight."""
    return normalise(sum(features) / len(features))


def _source(config: ConfigDict) -> str:
    return f"descriptors={config.descriptors}"


def _phrases(corpus: Corpus, matches: Matches, name: str) -> tuple[str, ...]:
    return corpus[matches.keys[name]] if name in matches.keys else ()


def _filled(templates: Sequence[str], names: Sequence[str]) -> Groups:
    return [[template.replace("{}", name) for template in templates] for name in names]


def _waffle(config: ConfigDict, names: Sequence[str]) -> Groups:
    """Draw random words and letters in place of descriptors, the same for all classes."""
    generator = np.random.default_rng((config.seed, 0))
    words = read_words(config) if config.words else []
    letters = list(string.ascii_lowercase)

    def phrase(index: int) -> str:
        if words and index % 2:
            return " ".join(generator.choice(words, 2))
        return " ".join("".join(generator.choice(letters, 5)) for _ in range(2))

    phrases = [phrase(index) for index in range(WAFFLE_COUNT)]
    return [[fill(DESCRIPTORS, name=name, phrase=x) for x in phrases] for name in names]
