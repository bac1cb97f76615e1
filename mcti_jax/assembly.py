"""What a run is assembled from before its first update: prompts and the frozen tree.

Nothing here is trained or changes; `mcti_jax.method` hands it to the loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion, check_sampling
from common.diffusion.embedding import Vocabulary
from common.evaluation.classification import class_means, normalise
from common.progress import say
from common.text import some
from mcti_jax.classifier import prompt_features
from mcti_jax.formats import LearnedToken
from mcti_jax.layout import class_bank, class_latents, kept_rows, prepare
from mcti_jax.losses import Kept
from mcti_jax.material import EncodedPhotos, Material
from mcti_jax.objective import Objective, gamma_factor
from mcti_jax.prompts import Prompts
from mcti_jax.readers import TextReader, readers_of, widths_of
from mcti_jax.starts import PHOTOS, first_vectors, nearest_words, nouns
from mcti_jax.widths import split


@dataclass(frozen=True)
class Additions:
    """What a run may bring beside models and photos.

    Attributes:
      first: Where each class begins, `[k n d]`; needed where some of them are to stay there.
      named: Texts of classes that share the classifier by their names, `[f t p]`.
      captioned: The prompt of each photo; empty where the templates serve all.
    """

    first: np.ndarray | None = None
    named: np.ndarray | None = None
    captioned: tuple[str, ...] = ()


def training_prompts(
    config: ConfigDict, tokenizer: Tokenizer, diffusion: bool, captioned: Sequence[str] = ()
) -> Prompts:
    """Return the prompts of photos; at full length where a U-Net reads them, padding and all.

    Args:
      config: The run's.
      tokenizer: Of the text tower that reads them.
      diffusion: Whether a U-Net reads its states.
      captioned: A prompt for each photo, cut where it is too long; else the config's templates.
    """
    if captioned:
        prompts = Prompts.from_templates(tokenizer, captioned, config.vectors, truncate=True)
    else:
        prompts = Prompts.from_templates(tokenizer, TEMPLATES[config.templates], config.vectors)
    return prompts if diffusion else prompts.cut()


def begin(
    config: ConfigDict, material: Material, known: Mapping[int, LearnedToken]
) -> Float[np.ndarray, "k n d"]:
    """Return where each class begins: as a token of `start`, as words near its photos, as the noun.

    Args:
      config: The run's.
      material: Models and photos.
      known: The tokens that `start` names.
    """
    sd, classnames = material.sd, material.classnames
    readers = readers_of(sd)
    if config.start != PHOTOS:
        noun = nouns(config, readers)
        return first_vectors(known, np.broadcast_to(noun, (len(classnames), *noun.shape)))
    means = class_means(normalise(material.train_features), material.train.labels)
    words, vectors = nearest_words(material.clip, readers, means, config.vectors, material.cache)
    lines = [f"{name}: {' '.join(near)}" for name, near in zip(classnames, words, strict=True)]
    say(f"Words near the photos: {some(lines, 10, str)}.")
    return vectors


def check_options(config: ConfigDict, sd: StableDiffusion) -> None:
    """Refuse options that do not fit the model, before time is spent on encoding photos.

    Raises:
      UserError: It names the option.
    """
    readers = readers_of(sd)
    for reader in readers:
        training_prompts(config, reader.tokenizer, bool(config.alpha)).pool_at(config.pool)
    start = nouns(config, readers)
    gamma_factor(config)
    # XL's tokenizers differ in their padding alone: what fits the first one fits both.
    check_pictures(config, sd, np.asarray(readers[0].table), split(start, widths_of(sd))[0])


def check_pictures(
    config: ConfigDict,
    sd: StableDiffusion,
    table: Float[np.ndarray, "v d"],
    vectors: Float[np.ndarray, "n d"],
) -> None:
    """Refuse settings of `generate` with which a model could not draw after all the training.

    Raises:
      UserError: The sampler or its steps do not fit the model, or the prompt is too long.
    """
    options = config.generate
    if not options.per_class:
        return
    check_sampling(sd.schedule, options.sampler, options.steps)
    word = "<x>"
    known = Vocabulary(sd.tokenizer, table, {word: vectors})
    known.embedded(options.prompt.replace("{}", word))


def frozen_tree(
    objective: Objective,
    sd: StableDiffusion,
    clip: CLIP,
    labels: np.ndarray,
    encoded: EncodedPhotos,
    additions: Additions,
) -> PyTree:
    """Return everything that the objective reads and never changes.

    It selects and casts on the host; under `jax.eval_shape` it says what it would select.

    Args:
      objective: What will read it.
      sd, clip: The models.
      labels: Class of each training photo.
      encoded: What the models make of these.
      additions: What the run brings beside them.
    """
    config, layout, networks = objective.config, objective.layout, objective.networks
    projection = clip.params["text"]["projection"]["kernel"].astype(np.float32)
    params = {encoder.part.params: sd.params[encoder.part.params] for encoder in networks.text}
    params["projection"] = projection
    diffusion = networks.unet is not None
    if diffusion:
        params["unet"] = sd.params["unet"]
    captioned, readers = additions.captioned, readers_of(sd)

    def prompts(model: TextReader | CLIP, diffusion: bool, texts: Sequence[str]) -> Any:
        found = training_prompts(config, model.tokenizer, diffusion, texts)
        return prepare(model.params["text"]["token_embedding"], found, config.pool)

    frozen = {
        "params": params,
        "prompts": tuple(prompts(reader, diffusion, captioned) for reader in readers),
        "bank": class_bank(encoded.features, labels, layout.classes, config.prototypes),
        "rows": class_latents(layout, encoded.mean, encoded.logvar, labels, bool(captioned)),
        "start": nouns(config, readers),
    }
    deep = networks.clip_text is not None
    if deep:
        params["clip_text"] = clip.params["text"]
        frozen["clip_prompts"] = prompts(clip, False, captioned)
    if config.classification != "paper":
        reader = clip if deep else readers[networks.class_encoder]
        frozen["class_prompts"] = prompts(reader, False, ())
        if layout.kept or additions.named is not None:
            frozen["kept"] = _kept(objective, frozen, additions)
    return frozen


def _kept(objective: Objective, frozen: PyTree, additions: Additions) -> Kept:
    """Return the classes whose texts stay as they are: kept tokens, then names."""
    networks, layout, params = objective.networks, objective.layout, frozen["params"]
    (tower, name), prompts = networks.class_tower, frozen["class_prompts"]
    projection = params["projection"]
    tokens = np.zeros((0, prompts.slot.size, projection.shape[1]), np.float32)
    named = tokens if additions.named is None else additions.named
    if layout.kept:
        vectors = networks.class_vectors(additions.first[list(layout.kept)])
        tokens = np.asarray(prompt_features(tower, params[name], projection, prompts, vectors))
    return kept_rows(layout, objective.config.gamma, tokens, named)
