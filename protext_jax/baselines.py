"""Class features that other methods make of the same model and the same texts.

Sources: CLIP (arXiv 2103.00020), CuPL (2209.03320), DCLIP (2210.07183), WaffleCLIP (2306.07282);
section 5 of the paper. CuPL has no sentences about classes that were not trained, where the paper
takes CLIP's number.
"""

import json
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data.names import readable
from common.data.templates import TEMPLATES
from common.errors import UserError
from common.evaluation.classification import normalise
from protext_jax.corpus import Corpus, normalised, read_corpus
from protext_jax.encoding import encode_texts
from protext_jax.templates import ATTRIBUTES
from protext_jax.testsets import TestSet

WAFFLE_COUNT = 15  # descriptors per class
DESCRIPTORS = "a photo of a {name}, which has {phrase}."


def text_baselines(
    config: ConfigDict, clip: CLIP, test: TestSet, sentences: Corpus
) -> dict[str, Float[np.ndarray, "k p"]]:
    """Class features `[k p]` of each baseline.

    Args:
      config: The run's.
      clip: The model.
      test: Whose classes.
      sentences: What the run learned from, by key.
    """
    names = [readable(name) for name in test.classnames]
    texts = {
        "clip": _filled([test.plain], names),
        "clip_80": _filled(TEMPLATES["imagenet"], names),
        "attributes": _filled(ATTRIBUTES, names),
        "waffle_clip": _waffle(config, names),
    }
    told = {normalised(key): list(value) for key, value in sentences.items()}
    texts["cupl"] = [told.get(normalised(name), []) for name in names]
    if config.descriptors:
        phrases = read_corpus(config.descriptors, DESCRIPTORS)
        described = {normalised(key): list(value) for key, value in phrases.items()}
        # A class without descriptors keeps its plain template, as in DCLIP's code.
        texts["dclip"] = [
            described.get(normalised(name)) or [test.plain.replace("{}", name)] for name in names
        ]
    untold = not all(texts["cupl"])
    if untold:
        del texts["cupl"]
    cache = Path(config.cache).expanduser()
    features = {name: ensemble(clip, groups, cache) for name, groups in texts.items()}
    return features | {"cupl": features["clip"]} if untold else features


def ensemble(clip: CLIP, groups: Sequence[Sequence[str]], cache: Path) -> Float[np.ndarray, "k p"]:
    """The mean of the unit features of each class's texts, at unit length (CLIP, section 3.1.4)."""
    flat = [text for group in groups for text in group]
    features = normalise(encode_texts(clip, flat, cache))
    stops = np.cumsum([len(group) for group in groups])[:-1]
    return normalise(np.stack([part.mean(0) for part in np.split(features, stops)]))


def read_words(path: str) -> list[str]:
    """A JSON list of words, as WaffleCLIP publishes its own.

    Raises:
      UserError: It is none.
    """
    try:
        words = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the word list {path!r} cannot be read: {error}.") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"the word list {path!r} holds no JSON list of words.")
    return [word for word in words if word]


def combined(features: Sequence[Float[np.ndarray, "k p"]]) -> Float[np.ndarray, "k p"]:
    """Unit class features of several methods, averaged with equal weight."""
    return normalise(sum(features) / len(features))


def _filled(templates: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    return [[template.replace("{}", name) for template in templates] for name in names]


def _waffle(config: ConfigDict, names: Sequence[str]) -> list[list[str]]:
    """Random words and letters in place of descriptors, the same for all classes."""
    generator = np.random.default_rng((config.seed, 0))
    known = read_words(config.words) if config.words else []
    letters = list(string.ascii_lowercase)

    def phrase(index: int) -> str:
        if known and index % 2:
            return " ".join(generator.choice(known, 2))
        return " ".join("".join(generator.choice(letters, 5)) for _ in range(2))

    phrases = [phrase(index) for index in range(WAFFLE_COUNT)]
    return [[f"a photo of a {name}, which has {x}." for x in phrases] for name in names]
