"""Class features that other methods make of the same model, and remarks on them."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.data.clip_texts import say_cut, text_features
from common.data.matching import require_matches
from common.evaluation.classification import normalise
from common.protocols.models import cache_of
from common.text import some
from protext_jax.baseline_texts import Groups, Material, baseline_texts, described, source_of
from protext_jax.testsets import TestSet

MEAN_SIMILARITY = ("waffle_clip", "dclip")
"""These average cosines, so their class features are means and not scaled to unit length."""


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


def check_baselines(config: ConfigDict, tests: Sequence[TestSet], material: Material) -> list[str]:
    """Return remarks on the descriptors, a line each.

    Raises:
      UserError: They name none of the classes.
    """
    if not config.descriptors:
        return []
    corpus, lines = material.descriptors, []
    matched = [(test, described(config, test, material)) for test in tests]
    if matched and not any(matches.keys for _, matches in matched):
        names = [name for test in tests for name in test.classnames]
        require_matches(matched[0][1], names, list(corpus), source_of(config))
    for test, matches in matched:
        source = f"{source_of(config)} for {test.prefix or 'the test'}"
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


def combined(features: Sequence[Float[np.ndarray, "k p"]]) -> Float[np.ndarray, "k p"]:
    """Return unit class features of several methods, averaged with equal weight."""
    return normalise(sum(features) / len(features))
