"""What a run is assembled from before its first update: networks, prompts and the frozen tree.

Nothing here is trained or changes; `mcti_jax.method` hands it to the loop.
"""

import numpy as np
from jaxtyping import Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.tokenizer import Tokenizer
from common.data.templates import TEMPLATES
from common.diffusion import SAMPLERS, StableDiffusion
from common.errors import UserError
from mcti_jax.layout import AnyArray, class_bank, class_latents, prepare
from mcti_jax.losses import Networks
from mcti_jax.material import Encoded
from mcti_jax.objective import Objective, gamma_factor
from mcti_jax.prompts import Prompts

TEMPLATE_SET = "textual_inversion"


def shares_text_tower(sd: StableDiffusion, clip: CLIP) -> bool:
    """Whether Stable Diffusion conditions on CLIP's own text tower (1.x does).

    Stable Diffusion 2.x drops CLIP's last block, so the class feature needs a pass of its own.
    """
    return sd.text_tower.config.layers == clip.text_tower.config.layers


def make_networks(
    config: ConfigDict, sd: StableDiffusion, clip: CLIP, attention: str = "plain"
) -> Networks:
    """The modules that the objective runs; `attention` is an implementation's name."""
    unet = sd.unet.clone(attention=attention, remat=config.remat)
    return Networks(
        unet=unet if config.alpha else None,
        schedule=sd.schedule,
        text=sd.text_tower,
        clip_text=None if shares_text_tower(sd, clip) else clip.text_tower,
        latent_scale=sd.vae.config.scaling_factor,
    )


def training_prompts(config: ConfigDict, tokenizer: Tokenizer, diffusion: bool) -> Prompts:
    """The 27 templates; at full length where a U-Net reads them, padding and all."""
    prompts = Prompts.from_templates(tokenizer, TEMPLATES[TEMPLATE_SET], config.vectors)
    return prompts if diffusion else prompts.cut()


def initial_vectors(
    config: ConfigDict, tokenizer: Tokenizer, table: Float[AnyArray, "v d"]
) -> Float[AnyArray, "n d"]:
    """Every learned vector begins as the embedding of one coarse noun."""
    ids = tokenizer.encode(config.init_word)
    if len(ids) != 1:
        pieces = " ".join(tokenizer.decode(i) for i in ids) or "nothing"
        raise UserError(
            f"init_word={config.init_word!r} is {len(ids)} tokens ({pieces}): "
            "choose a noun that is one token."
        )
    return table[np.repeat(ids, config.vectors)].astype(np.float32)


def check_options(config: ConfigDict, sd: StableDiffusion) -> None:
    """Refuses options that do not fit, before time is spent on encoding photos."""
    for name in ("vectors", "samples", "feature_draws"):
        if config[name] < 1:
            raise UserError(f"{name}={config[name]} must be at least 1.")
    if config.generate.prompt.count("{}") != 1:
        raise UserError(
            f"generate.prompt={config.generate.prompt!r} needs one {{}} for the learned word."
        )
    training_prompts(config, sd.tokenizer, bool(config.alpha)).pool_at(config.pool)
    initial_vectors(config, sd.tokenizer, sd.params["text"]["token_embedding"])
    gamma_factor(config)
    if config.generate.sampler not in SAMPLERS:
        raise UserError(
            f"generate.sampler={config.generate.sampler!r} is unknown; choose one of "
            f"{', '.join(SAMPLERS)}."
        )


def frozen_tree(
    objective: Objective, sd: StableDiffusion, clip: CLIP, labels: np.ndarray, encoded: Encoded
) -> PyTree:
    """Everything that the objective reads and never changes.

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
    return frozen
