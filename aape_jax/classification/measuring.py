"""What the saved heads of a run come to, on its own photos or on others of any classes."""

from collections.abc import Callable, Mapping

from ml_collections import ConfigDict

from aape_jax.classification.class_texts import without_lost_sentences
from aape_jax.classification.evaluation import head_row, predict_all, report, text_rows
from aape_jax.classification.inputs import (
    learned_photos,
    open_inputs,
    require_one_width,
    text_width,
)
from aape_jax.classification.material import encode_tests
from aape_jax.classification.summary import prompts_fingerprint
from aape_jax.classification.testsets import TestSet, encode_target, open_target
from aape_jax.core.head import Head
from aape_jax.core.heads_file import head_file, read_head, require_fit
from aape_jax.core.presets import ALWAYS, OWN, class_kinds, variants
from aape_jax.task import evaluated
from common.clip import CLIP
from common.paths import AnyPath
from common.protocols.models import cache_of, clip_of
from common.training import Evaluation
from common.training.unfinished import say_changed_data, say_changed_models

OpenedSets = tuple[int, Callable[[], Mapping[str, TestSet]]]
"""The width of all features, and what encodes the test sets."""


def measure_heads(config: ConfigDict, workdir: AnyPath, data: str | None) -> Evaluation:
    """Measure accuracy, beside the rows of text alone.

    Of other data only the class names need be known; the sentences about them in `prompts.source`
    are read where class features are made of these. No training photo is encoded, and heads of
    other sizes are refused before anything is.

    Args:
      config: The run's.
      workdir: The run's folder.
      data: Whose photos; None for the run's own test sets.

    Raises:
      UserError: The heads or the photos do not fit the model and the config.
    """
    configs = variants(config, always=ALWAYS)
    params = {name: read_head(head_file(workdir, name)) for name in configs}
    heads = {name: Head.from_config(variant) for name, variant in configs.items()}
    width, encode = (
        open_other_set(config, workdir, data) if data else open_own_sets(config, workdir)
    )
    for name, head in heads.items():
        require_fit(name, params[name], head.shapes(width))
    tests = encode()
    predicted = {name: predict_all(head, params[name], tests) for name, head in heads.items()}
    rows = {name: head_row(own, params[name], tests) for name, own in predicted.items()}
    return evaluated(rows, text_rows(tests), **vars(report(predicted[OWN], tests)))


def open_own_sets(config: ConfigDict, workdir: AnyPath) -> OpenedSets:
    """Return the test sets that the run itself was measured on."""
    opened = open_inputs(config)
    say_changed_clip(workdir, opened.clip)

    def now() -> dict[str, str]:
        of_classes = opened.config, opened.dataset.classnames, opened.texts, opened.learned
        return {"data": opened.train.fingerprint, "prompts": prompts_fingerprint(*of_classes)}

    say_changed_data(workdir, now)
    return opened.width, lambda: encode_tests(opened)


def open_other_set(config: ConfigDict, workdir: AnyPath, data: str) -> OpenedSets:
    """Open photos of classes of which only the names need be known."""
    config = without_lost_sentences(config, class_kinds(config))
    target = open_target(config, data, lambda: learned_photos(config))
    clip = clip_of(config)
    say_changed_clip(workdir, clip)
    require_one_width(clip, target.dataset.test, target.texts, repr(data))
    return text_width(target.texts, clip), lambda: {
        "": encode_target(target, clip, cache_of(config))
    }


def say_changed_clip(workdir: AnyPath, clip: CLIP | None) -> None:
    """Say where the model is not the one that the heads learned with."""
    if clip:
        say_changed_models(workdir, {"model": clip.fingerprint})
