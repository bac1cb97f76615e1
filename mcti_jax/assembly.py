"""What a run is assembled from before its first update: networks, prompts and the frozen tree.

Nothing here is trained or changes; `mcti_jax.method` hands it to the loop.
"""

import hashlib

import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.diffusion import StableDiffusion, check_sampling
from common.diffusion.embedding import Vocabulary
from common.errors import UserError
from mcti_jax.layout import AnyArray, class_bank, class_latents, prepare
from mcti_jax.losses import Networks
from mcti_jax.material import EncodedPhotos
from mcti_jax.objective import Objective, gamma_factor
from mcti_jax.options import check_values
from mcti_jax.prompts import Prompts
from mcti_jax.saving import TEMPLATE_SET


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


def initial_vectors(
    config: ConfigDict, tokenizer: Tokenizer, table: Float[AnyArray, "v d"]
) -> Float[AnyArray, "n d"]:
    """Return the first vectors: each begins as the embedding of one coarse noun."""
    ids = tokenizer.encode(config.init_word)
    if len(ids) != 1:
        pieces = " ".join(tokenizer.decode(i) for i in ids) or "nothing"
        raise UserError(
            f"init_word={config.init_word!r} is {len(ids)} tokens ({pieces}): "
            "choose a noun that is one token."
        )
    return table[np.repeat(ids, config.vectors)].astype(np.float32)


def check_options(config: ConfigDict, sd: StableDiffusion) -> None:
    """Refuse options that do not fit the model, before time is spent on encoding photos.

    Raises:
      UserError: It names the option.
    """
    check_values(config)
    training_prompts(config, sd.tokenizer, bool(config.alpha)).pool_at(config.pool)
    table = np.asarray(sd.params["text"]["token_embedding"])
    start = initial_vectors(config, sd.tokenizer, table)
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
) -> PyTree:
    """Return everything that the objective reads and never changes.

    It selects and casts on the host; under `jax.eval_shape` it says what it would select.
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
        "start": initial_vectors(config, sd.tokenizer, table),
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
    return frozen
