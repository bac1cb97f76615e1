"""What a run reports: the tokens as a classifier and as pictures, beside baselines."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8
from ml_collections import ConfigDict

from common.clip import CLIP, TextTower
from common.clip.text import require_causal
from common.data import ImageSplit
from common.data.selection import far_apart
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion
from common.evaluation import baselines, classification, figures, generation
from common.evaluation.predictions import PredictionsReport, predictions_report
from common.spread import on_all_devices, over_devices
from common.training import Evaluation
from mcti_jax.baselines import beside_names, can_measure, scores
from mcti_jax.classifier import mean_over_prompts, predict, prompt_features
from mcti_jax.drift import Drift, drift, mean_drift
from mcti_jax.formats import token_words
from mcti_jax.generation import clip_features, generate_classes
from mcti_jax.layout import prepare
from mcti_jax.material import Material
from mcti_jax.prompts import Prompts
from mcti_jax.readers import TextReader, class_reader, read_by, readers_of, widths_of
from mcti_jax.widths import split

# How a class feature is made, by the suffix of its metrics: the mean over the prompts of
# training, which stands for the method where one number has to, or a single prompt.
ENSEMBLE, SINGLE = "", "_single"


@dataclass(frozen=True)
class Classifier:
    """Text features of K classes, and how they do on the test photos.

    Attributes:
      classes: `[k p]`, unit length.
      predicted: Class of each test photo, `[b]`.
    """

    classes: Float[np.ndarray, "k p"]
    predicted: np.ndarray


@dataclass(frozen=True)
class MeasuredVariant:
    """What the tokens of a variant come to.

    Attributes:
      metrics: Its numbers.
      predicted: Class of each test photo, `[b]`.
      samples: Its pictures of the classes that are shown, `[r g h w 3]`; None where none are drawn.
    """

    metrics: dict[str, float]
    predicted: np.ndarray
    samples: np.ndarray | None


def _prompt_features(shared: PyTree, tokens: Array, *, tower: TextTower) -> Array:
    return prompt_features(tower, *shared, tokens)


def classifiers(
    config: ConfigDict, material: Material, tokens: Float[np.ndarray, "k n d"]
) -> dict[str, Classifier]:
    """Build the tokens' classifier by the prompts of training and by a single one."""
    sd, clip = material.sd, material.clip
    source, tokens = class_reader(config, clip, lambda: sd), read_by(clip, tokens, widths_of(sd))
    modes = {}
    for mode, name in {ENSEMBLE: config.templates, SINGLE: "photo"}.items():
        templates = TEMPLATES[name]
        classes = token_features(config, source, clip, tokens, templates)
        predicted = predict(jnp.asarray(material.test_features), classes)
        modes[mode] = Classifier(np.asarray(classes), np.asarray(predicted))
    return modes


def token_features(
    config: ConfigDict,
    source: TextReader | CLIP,
    clip: CLIP,
    tokens: Float[np.ndarray, "k n d"],
    templates: Sequence[str],
) -> Float[Array, "k p"]:
    """Return text features of K classes, the mean over templates at unit length.

    Args:
      config: The run's.
      source: Whose text tower reads the tokens.
      clip: Whose projection takes them to the space of image features.
      tokens: Learned vectors, those that the source reads.
      templates: With `{}` where a token goes.

    Raises:
      UserError: The source's text tower is not causal.
    """
    require_causal(source.text_tower.config, "MC-TI")
    table = np.asarray(source.params["text"]["token_embedding"])
    projection = np.asarray(clip.params["text"]["projection"]["kernel"], np.float32)
    prompts = Prompts.from_templates(source.tokenizer, templates, config.vectors).cut()
    shared = source.params["text"], projection, prepare(table, prompts, config.pool)
    features = over_devices(_prompt_features, shared, tokens, tower=source.text_tower)
    return mean_over_prompts(jnp.asarray(features))


def evaluate(
    config: ConfigDict,
    material: Material,
    tokens: Mapping[str, Float[np.ndarray, "k n d"]],
    start: Float[np.ndarray, "n d"],
    others: Mapping[str, Mapping[str, float]],
) -> Evaluation:
    """Measure every variant on the test photos.

    Without test photos, or with one class alone, no accuracy is measured: there remain drift and
    pictures.

    Args:
      config: The run's.
      material: Models, photos and caches.
      tokens: Learned vectors by variant; the first is the run's own.
      start: What every row began as.
      others: Baselines of `baseline_scores`; the same at each evaluation of a run.
    """
    names, test = material.classnames, material.test
    shown = far_apart(config.generate.rows or len(names), len(names))
    sd = material.sd
    if config.generate.per_class:  # Until the end of this evaluation; training has its own copy.
        sd = dataclasses.replace(sd, params=on_all_devices(sd.params))
    variants = {
        name: _measure(config, material, sd, vectors, start, shown)
        for name, vectors in tokens.items()
    }
    first, *others_trained = variants
    report = PredictionsReport()
    if can_measure(material):
        report = predictions_report(variants[first].predicted, test.labels, names, test.names)
    pictures = dict(report.pictures)
    if config.generate.per_class:
        photos = material.train if isinstance(material.train, ImageSplit) else None
        rows = {number: names[number] for number in shown}
        samples = {name: variant.samples for name, variant in variants.items()}
        pictures["samples"] = figures.class_sheet(
            photos, rows, samples, material.size, material.fit
        )
    followed = [dataclasses.asdict(token) for token in follow(material, tokens[first], start)]
    return Evaluation(
        variants[first].metrics,
        {name: variants[name].metrics for name in others_trained} | others,
        pictures,
        details={"tokens": followed} | report.details,
        tables=report.tables,
    )


def _measure(
    config: ConfigDict,
    material: Material,
    sd: StableDiffusion,
    tokens: Float[np.ndarray, "k n d"],
    start: Float[np.ndarray, "n d"],
    shown: Sequence[int],
) -> MeasuredVariant:
    modes = classifiers(config, material, tokens)
    own = modes[ENSEMBLE]
    metrics: dict[str, float] = {}
    for suffix, classifier in modes.items():
        metrics |= scores(classifier.predicted, material, suffix)
    samples = None
    if config.generate.per_class:
        drawn = generate_classes(config, sd, tokens)
        metrics |= picture_scores(material, drawn, own.classes)
        samples = drawn[shown]
    metrics |= beside_names(material, own.classes)
    return MeasuredVariant(metrics | mean_drift(tokens, start), own.predicted, samples)


def follow(
    material: Material, tokens: Float[np.ndarray, "k n d"], start: Float[np.ndarray, "n d"]
) -> tuple[Drift, ...]:
    """Measure how far each vector moved, in each text encoder that reads the tokens."""
    names, widths, readers = material.classnames, widths_of(material.sd), readers_of(material.sd)
    words = token_words(names)
    followed = [
        drift(ours, begun, np.asarray(reader.table), reader.tokenizer, names, words)
        for reader, ours, begun in zip(
            readers, split(tokens, widths), split(start, widths), strict=True
        )
    ]
    if len(readers) == 1:
        return followed[0]
    return tuple(
        dataclasses.replace(row, word=f"{row.word} {reader.name}")
        for rows in zip(*followed, strict=True)
        for reader, row in zip(readers, rows, strict=True)
    )


def picture_scores(
    material: Material,
    images: UInt8[np.ndarray, "k g h w 3"],
    classes: Float[np.ndarray, "k p"],
) -> dict[str, float]:
    """Measure the pictures of K classes with CLIP: see `common.evaluation.generation`.

    Their class is looked for by the tokens that drew them, and by the training photos, which
    judge every method alike, if there are any.
    """
    count, per_class = images.shape[:2]
    features = clip_features(material.clip, images.reshape(-1, *images.shape[2:]))
    labels = np.repeat(np.arange(count), per_class)
    measures: dict[str, float] = {}
    if count > 1:
        measures["generated/accuracy"] = generation.accuracy(features, labels, classes)
    if len(material.train):
        photos = material.train_features, material.train.labels
        if count > 1:
            found = baselines.nearest_class_mean(*photos, features)
            measures["generated/accuracy_by_photos"] = classification.accuracy(found, labels)
        measures["generated/clip_i"] = generation.clip_i(features, labels, *photos)
    measures["generated/clip_t"] = generation.clip_t(features, classes[labels])
    if per_class > 1:
        measures["generated/diversity"] = generation.diversity(features, labels)
    return measures
