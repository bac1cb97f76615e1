"""Class features that learned prompts make: a classifier of any class names."""

from collections.abc import Hashable, Sequence

import jax
import numpy as np
from jaxtyping import Array, Float, PyTree

from common.clip import CLIP, TextTower, encode_text
from common.clip.encode import unit
from common.clip.prompts import require_names
from common.evaluation.classification import normalise
from common.names import readable
from common.nesting import nest
from common.spread import Run, over_devices
from protext_jax.adapters import adapted
from protext_jax.learned import LearnedPrompts
from protext_jax.prompts import ClassTexts, tokenise
from protext_jax.templates import bare_template
from protext_jax.tower import prompted_features

ROWS, COLUMNS = 32, 8
AT_ONCE = 128
"""Class names that each device encodes at a time: a thousand together take gigabytes."""


def class_features(
    clip: CLIP, learned: LearnedPrompts, template: str, names: Sequence[str]
) -> Float[np.ndarray, "k p"]:
    """Return unit-length features of any classes: the classifier that the prompts make.

    Where `learned.blend` is below 1 they are mixed with CLIP's own features of the template.

    Raises:
      UserError: The prompts were learned with another model or would overwrite class names in this
        template, a text is too long, or there are no names.
    """
    if learned.metadata.get("fingerprint", clip.fingerprint) != clip.fingerprint:
        learned.require_model(clip)
    names = [readable(name) for name in require_names(names)]
    texts = tokenise(clip.tokenizer, template, names, learned.length)
    texts = _rounded_up(texts, cut=clip.config.text.causal)
    shared = clip.params["text"], nest(learned.arrays)
    options = {"tower": clip.text_tower, "half": learned.half}
    features = _some_at_a_time(_encode, shared, (texts.ids, texts.end), **options)[: len(names)]
    if learned.blend == 1:
        return features
    return blended(features, plain_features(clip, template, names), learned.blend)


def plain_features(clip: CLIP, template: str, names: Sequence[str]) -> Float[np.ndarray, "k p"]:
    """Return CLIP's own features of the template without prompts, at unit length.

    Args:
      clip: The model.
      template: Whose first words prompts would overwrite.
      names: As they are read, with spaces.
    """
    texts = tokenise(clip.tokenizer, bare_template(template), names, 0)
    ids = _rounded_up(texts, cut=clip.config.text.causal).ids
    params, tower = clip.params["text"], clip.text_tower
    return _some_at_a_time(_encode_plain, params, ids, tower=tower)[: len(names)]


def blended(
    prompted: Float[np.ndarray, "k p"], plain: Float[np.ndarray, "k p"], blend: float
) -> Float[np.ndarray, "k p"]:
    """Return unit features of which `blend` comes from the prompts and the rest from CLIP alone.

    As WiSE-FT (arXiv 2109.01903) mixes a fine-tuned classifier with that which it started from.
    """
    return normalise(blend * prompted + (1 - blend) * plain)


def _some_at_a_time(run: Run, shared: PyTree, rows: PyTree, **options: Hashable) -> np.ndarray:
    at_once = AT_ONCE * jax.device_count()
    return over_devices(run, shared, rows, at_once=at_once, **options)


def _encode_plain(params: PyTree, ids: Array, *, tower: TextTower) -> Array:
    return unit(encode_text(tower, params, ids))


def _encode(shared: PyTree, texts: tuple[Array, Array], *, tower: TextTower, half: bool) -> Array:
    params, learned = shared
    ids, end = texts
    if "prompts" in learned:
        return prompted_features(tower, params, learned["prompts"], ids, end, half=half)
    return unit(adapted(learned["adapter"], _encode_plain(params, ids, tower=tower)))


def _rounded_up(texts: ClassTexts, cut: bool) -> ClassTexts:
    """Round a size up, so that few programs are compiled: padding changes no feature.

    Args:
      texts: Of all classes.
      cut: Whether columns behind every end may be left out.
    """
    rows = -(-len(texts.ids) // ROWS) * ROWS
    longest = int(texts.end.max()) + 1 if cut else texts.ids.shape[1]
    columns = -(-longest // COLUMNS) * COLUMNS
    which = np.minimum(np.arange(rows), len(texts.ids) - 1)
    return ClassTexts(texts.ids[which, :columns], texts.end[which])
