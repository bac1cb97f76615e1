"""Pictures from learned tokens."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP
from common.clip.text import TextTower
from common.diffusion import StableDiffusion, text_to_image
from common.progress import track
from mcti_jax.prompts import embed_prompt


@functools.partial(jax.jit, static_argnames="tower")
def _states(tower: TextTower, params: PyTree, embedded: Array) -> Array:
    ends = jnp.zeros(len(embedded), jnp.int32)  # nothing is pooled here
    return tower.apply({"params": params}, embedded, ends).last_hidden_state


def text_states(
    sd: StableDiffusion, prompts: Sequence[str], words: Mapping[str, np.ndarray]
) -> Float[Array, "b s d"]:
    """What the U-Net reads of each prompt; `words` are learned vectors by word."""
    table = np.asarray(sd.params["text"]["token_embedding"])
    embedded = np.stack([embed_prompt(sd.tokenizer, table, text, words) for text in prompts])
    return _states(sd.text_tower, sd.params["text"], jnp.asarray(embedded))


def generate(
    sd: StableDiffusion,
    prompts: Sequence[str],
    words: Mapping[str, np.ndarray],
    *,
    size: int,
    sampler: str,
    steps: int,
    guidance: float,
    batch: int,
    seed: int,
) -> Float[np.ndarray, "b h w 3"]:
    """One picture for each prompt, in [0, 1].

    The i-th picture depends on the seed and i only, not on how many there are.

    Args:
      sd: the model.
      prompts: may hold learned words.
      words: learned vectors by word, brackets included.
      size: side in pixels.
      sampler: a key of `common.diffusion.SAMPLERS`.
      steps: denoising steps.
      guidance: weight of classifier-free guidance; 1 is none.
      batch: pictures at once.
      seed: of the initial noise.
    """
    count, batch = len(prompts), min(batch, len(prompts))
    padded = [*prompts, *[prompts[-1]] * (-count % batch)]
    key = jax.random.key(seed)
    unique = list(dict.fromkeys(padded))
    by_prompt = dict(zip(unique, text_states(sd, unique, words), strict=True))
    empty = jnp.broadcast_to(text_states(sd, [""], {}), (batch, *by_prompt[unique[0]].shape))
    side = size // sd.downsampling
    shape = (side, side, sd.unet.config.in_channels)
    found = []
    starts = range(0, len(padded), batch)
    for start in track(starts, f"Sampling ({sampler}, {steps} steps)", unit="batches"):
        rows = jnp.arange(start, start + batch)
        noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), shape))(rows)
        states = jnp.stack([by_prompt[text] for text in padded[start : start + batch]])
        images = text_to_image(
            sd.modules,
            sd.params,
            states,
            empty,
            noise,
            jax.random.fold_in(key, start),
            sampler=sampler,
            steps=steps,
            guidance=guidance,
        )
        found.append(np.asarray(images, np.float32))
    return np.concatenate(found)[:count]


def generate_classes(
    config: ConfigDict, sd: StableDiffusion, tokens: Float[np.ndarray, "k n d"]
) -> Float[np.ndarray, "k g h w 3"]:
    """The configured number of pictures for each class."""
    options = config.generate
    words = {f"<{k}>": vectors for k, vectors in enumerate(tokens)}
    prompts = [options.prompt.format(word) for word in words for _ in range(options.per_class)]
    images = generate(
        sd,
        prompts,
        words,
        size=config.resolution or sd.image_size,
        sampler=options.sampler,
        steps=options.steps,
        guidance=options.guidance,
        batch=options.batch,
        seed=config.seed,
    )
    return images.reshape(len(tokens), options.per_class, *images.shape[1:])


def to_uint8(images: Float[np.ndarray, "*b h w 3"]) -> np.ndarray:
    """From [0, 1] to bytes."""
    return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def clip_features(clip: CLIP, images: Float[np.ndarray, "b h w 3"]) -> np.ndarray:
    """CLIP image features of generated pictures, through the usual preprocessing, `[b p]`."""
    tower = clip.image_tower
    encode = jax.jit(lambda params, x: tower.apply({"params": params}, x).features)
    pixels = np.stack([clip.preprocess(Image.fromarray(x)) for x in to_uint8(images)])
    batches = np.array_split(pixels, -(-len(pixels) // 64))
    found = [encode(clip.params["vision"], batch) for batch in batches]
    return np.concatenate([np.asarray(x, np.float32) for x in found])
