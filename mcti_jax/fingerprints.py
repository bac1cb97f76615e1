"""What a checkpoint depends on: 16 hex characters for each part of it."""

import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from common.clip import CLIP
from common.diffusion import StableDiffusion, load_stable_diffusion
from common.precision import frozen_dtype
from common.training.types import EVALUATION
from common.weights.fingerprint import fingerprint, text_digest
from mcti_jax.assembly import training_prompts
from mcti_jax.material import Material
from mcti_jax.saving import MODEL, TEXT_ENCODER
from mcti_jax.starts import names_tokens


def fingerprints(
    config: ConfigDict,
    material: Material,
    first: Float[np.ndarray, "k n d"],
    captioned: Sequence[str] = (),
) -> dict[str, str]:
    """Fingerprint everything that a run reads beside its training photos.

    Args:
      config: The run's.
      material: Models and photos.
      first: Where each class begins.
      captioned: The prompt of each photo, if photos have captions.
    """
    sd, clip = material.sd, material.clip
    prints = {
        **model_fingerprints(config, sd),
        "clip": clip.fingerprint,
        "names": names_fingerprint(material.classnames),
        "prompts": prompt_fingerprint(config, sd, clip, captioned),
        "preprocessing": fingerprint({}, repr(clip.preprocess)),
        f"{EVALUATION}test photos": material.test.fingerprint,
    }
    if config.start:
        prints["start"] = fingerprint({"first": first})
    if others := material.others:
        prints["names beside"] = names_fingerprint(others.names)
        prints[f"{EVALUATION}photos beside"] = fingerprint({"features": others.features})
    return prints


def whole_fingerprint(config: ConfigDict, sd: StableDiffusion) -> str:
    """Return the fingerprint of all networks, which are loaded for it if they were not."""
    if "unet" not in sd.params:
        sd = load_stable_diffusion(config.model, frozen_dtype(config.dtype))
    return sd.fingerprint


def model_fingerprints(config: ConfigDict, sd: StableDiffusion) -> dict[str, str]:
    """Return the fingerprints of what tokens are learned in and of what earlier ones name."""
    whole = {MODEL: sd.fingerprint} if config.alpha or names_tokens(config) else {}
    return whole if config.alpha else whole | {TEXT_ENCODER: sd.text_fingerprint}


def names_fingerprint(classnames: Sequence[str]) -> str:
    """Return 16 hex characters for the names of the classes, in order."""
    return text_digest("\0".join(classnames))


def prompt_fingerprint(
    config: ConfigDict, sd: StableDiffusion, clip: CLIP, captioned: Sequence[str] = ()
) -> str:
    """Return 16 hex characters for all tokenizers' ids of the prompts and the first noun."""
    digest = hashlib.sha256()
    sets = ((), captioned) if captioned else ((),)
    for tokenizer, texts in itertools.product((*sd.tokenizers, clip.tokenizer), sets):
        prompts = training_prompts(config, tokenizer, diffusion=True, captioned=texts)
        for ids in (prompts.ids, prompts.slot, tokenizer.encode(config.init_word)):
            digest.update(np.asarray(ids, "<i8").tobytes())
    return digest.hexdigest()[:16]
