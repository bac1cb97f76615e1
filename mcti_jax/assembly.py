"""What a run is assembled from before its first update: networks, prompts and the frozen tree.

Nothing here is trained or changes; `mcti_jax.method` hands it to the loop.
"""

import hashlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion, check_sampling
from common.diffusion.embedding import Vocabulary
from common.progress import say
from common.text import some
from mcti_jax.classifier import prompt_features
from mcti_jax.formats import LearnedToken
from mcti_jax.layout import class_bank, class_latents, kept_rows, prepare
from mcti_jax.losses import Networks
from mcti_jax.material import EncodedPhotos, Material
from mcti_jax.objective import Objective, gamma_factor
from mcti_jax.options import check_values
from mcti_jax.prompts import Prompts
from mcti_jax.saving import TEMPLATE_SET
from mcti_jax.starts import PHOTOS, first_vectors, nearest_words, noun_vectors


def shares_text_tower(config: ConfigDict, sd: StableDiffusion, clip: CLIP) -> bool:
    """Return whether the class feature comes from Stable Diffusion's text tower (1.x: CLIP's).

    Stable Diffusion 2.x drops CLIP's last block, so the class feature needs a pass of its own,
    unless `class_tower` has it read one block too early, as the released code does.
    """
    return (
        config.class_tower == "sd" or sd.text_tower.config.layers == clip.text_tower.config.layers
    )


def make_networks(
    config: ConfigDict, sd: StableDiffusion, clip: CLIP, attention: str = "plain"
) -> Networks:
    """Return the modules that the objective runs; `attention` is an implementation's name."""
    unet = sd.unet.clone(attention=attention, remat=config.remat)
    return Networks(
        unet=unet if config.alpha else None,
        schedule=sd.schedule,
        text=sd.text_tower,
        clip_text=None if shares_text_tower(config, sd, clip) else clip.text_tower,
        latent_scale=sd.vae.config.scaling_factor,
    )


def training_prompts(config: ConfigDict, tokenizer: Tokenizer, diffusion: bool) -> Prompts:
    """Return the 27 templates; at full length where a U-Net reads them, padding and all."""
    prompts = Prompts.from_templates(tokenizer, TEMPLATES[TEMPLATE_SET], config.vectors)
    return prompts if diffusion else prompts.cut()


def begin(
    config: ConfigDict, material: Material, known: Mapping[int, LearnedToken]
) -> Float[np.ndarray, "k n d"]:
    """Return where each class begins: as a token of `start`, as words near its photos, as the noun.

    Args:
      config: the run's.
      material: models and photos.
      known: the tokens that `start` names.
    """
    sd, classnames = material.sd, material.classnames
    table = np.asarray(sd.params["text"]["token_embedding"])
    if config.start != PHOTOS:
        noun = noun_vectors(config, sd.tokenizer, table)
        return first_vectors(known, np.broadcast_to(noun, (len(classnames), *noun.shape)))
    features = material.train_features
    features = features / np.linalg.norm(features, axis=-1, keepdims=True)
    labels = material.train.labels
    means = np.stack([features[labels == label].mean(axis=0) for label in range(len(classnames))])
    words, vectors = nearest_words(
        material.clip, sd.tokenizer, table, means, config.vectors, material.cache
    )
    lines = [f"{name}: {' '.join(near)}" for name, near in zip(classnames, words, strict=True)]
    say(f"Words near the photos: {some(lines, 10, str)}.")
    return vectors


def check_options(config: ConfigDict, sd: StableDiffusion) -> None:
    """Refuse options that do not fit the model, before time is spent on encoding photos.

    Raises:
      UserError: It names the option.
    """
    check_values(config)
    training_prompts(config, sd.tokenizer, bool(config.alpha)).pool_at(config.pool)
    table = np.asarray(sd.params["text"]["token_embedding"])
    start = noun_vectors(config, sd.tokenizer, table)
    gamma_factor(config)
    check_pictures(config, sd, table, start)


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


def prompt_fingerprint(config: ConfigDict, sd: StableDiffusion, clip: CLIP) -> str:
    """Return 16 hex characters for both tokenizers' ids of the templates and the first noun."""
    digest = hashlib.sha256()
    for tokenizer in (sd.tokenizer, clip.tokenizer):
        prompts = training_prompts(config, tokenizer, diffusion=True)
        for ids in (prompts.ids, prompts.slot, tokenizer.encode(config.init_word)):
            digest.update(np.asarray(ids, "<i8").tobytes())
    return digest.hexdigest()[:16]


def frozen_tree(
    objective: Objective,
    sd: StableDiffusion,
    clip: CLIP,
    labels: np.ndarray,
    encoded: EncodedPhotos,
    first: Float[np.ndarray, "k n d"] | None = None,
    named: Float[np.ndarray, "f t p"] | None = None,
) -> PyTree:
    """Return everything that the objective reads and never changes.

    It selects and casts on the host; under `jax.eval_shape` it says what it would select.

    Args:
      objective: what will read it.
      sd, clip: the models.
      labels: class of each training photo.
      encoded: what the models make of these.
      first: where each class begins; needed where some of them are to stay there.
      named: texts of classes that share the classifier by their names.
    """
    config, layout, networks = objective.config, objective.layout, objective.networks
    params = {
        "text": sd.params["text"],
        "projection": clip.params["text"]["projection"]["kernel"].astype(np.float32),
    }
    diffusion = networks.unet is not None
    if diffusion:
        params["unet"] = sd.params["unet"]
    prompts = training_prompts(config, sd.tokenizer, diffusion)
    table = sd.params["text"]["token_embedding"]
    frozen = {
        "params": params,
        "prompts": prepare(table, prompts, config.pool),
        "bank": class_bank(encoded.features, labels, layout.classes, config.prototypes),
        "rows": class_latents(layout, encoded.mean, encoded.logvar, labels),
        "start": noun_vectors(config, sd.tokenizer, table),
    }
    if networks.clip_text is not None:
        params["clip_text"] = clip.params["text"]
        clip_prompts = training_prompts(config, clip.tokenizer, diffusion=False)
        clip_table = clip.params["text"]["token_embedding"]
        frozen["clip_prompts"] = prepare(clip_table, clip_prompts, config.pool)
    if config.classification != "paper":
        frozen["class_prompts"] = frozen.get("clip_prompts") or prepare(
            table, prompts.cut(), config.pool
        )
        if layout.kept or named is not None:
            own = networks.clip_text is not None
            tower, name = (networks.clip_text, "clip_text") if own else (networks.text, "text")
            shared = params[name], params["projection"], frozen["class_prompts"]
            nothing = np.zeros((0, shared[2].slot.size, shared[1].shape[1]), np.float32)
            tokens = nothing
            if layout.kept:
                tokens = np.asarray(prompt_features(tower, *shared, first[list(layout.kept)]))
            frozen["kept"] = kept_rows(
                layout, config.gamma, tokens, nothing if named is None else named
            )
    return frozen
