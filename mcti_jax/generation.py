"""Pictures from learned tokens."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict
from PIL import Image

from common.clip import CLIP, ModifiedResNet, TextTower, ViT, encode_image
from common.data.images import to_uint8
from common.diffusion import Modules, StableDiffusion, text_to_image
from common.progress import Progress
from common.seeds import seed_key, seed_words
from common.training.spread import over_devices
from mcti_jax.prompts import embed_prompt


def _states(params: PyTree, embedded: Array, *, tower: TextTower) -> Array:
    ends = jnp.zeros(len(embedded), jnp.int32)  # nothing is pooled here
    return tower.apply({"params": params}, embedded, ends).last_hidden_state


def text_states(
    sd: StableDiffusion, prompts: Sequence[str], words: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "b s d"]:
    """What the U-Net reads of each prompt; `words` are learned vectors by word."""
    table = np.asarray(sd.params["text"]["token_embedding"])
    others = sd.tokenizer.added_words
    embedded = np.stack(
        [embed_prompt(sd.tokenizer, table, text, words, others) for text in prompts]
    )
    return over_devices(_states, sd.params["text"], embedded, tower=sd.text_tower)


def _pictures(
    shared: PyTree,
    rows: PyTree,
    *,
    modules: Modules,
    sampler: str,
    steps: int,
    latent: tuple[int, ...],
) -> Array:
    root = seed_key(shared["seed"])
    keys = jax.vmap(lambda number: jax.random.fold_in(root, number))(rows["number"])
    states = shared["states"][rows["prompt"]]
    return text_to_image(
        modules,
        shared["params"],
        states,
        jnp.broadcast_to(shared["empty"], states.shape),
        jax.vmap(lambda key: jax.random.normal(key, latent))(keys),
        keys,
        sampler=sampler,
        steps=steps,
        guidance=shared["guidance"],
    ).astype(jnp.float32)


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
    """One picture for each prompt, in [0, 1]; all devices of all processes draw.

    The i-th picture depends on the seed and i only, not on how many there are.

    Args:
      sd: the model.
      prompts: may hold learned words.
      words: learned vectors by word, brackets included.
      size: side in pixels.
      sampler: a key of `common.diffusion.SAMPLERS`.
      steps: denoising steps.
      guidance: weight of classifier-free guidance; 1 is none.
      batch: pictures at once over all devices, rounded up to a multiple of them.
      seed: of the initial noise, below 2**64.
    """
    unique = list(dict.fromkeys(prompts))
    place = {text: row for row, text in enumerate(unique)}
    side = size // sd.downsampling
    rows = {
        "number": np.arange(len(prompts), dtype=np.int32),
        "prompt": np.array([place[text] for text in prompts], np.int32),
    }
    shared = {
        "params": {name: sd.params[name] for name in ("unet", "vae")},
        "states": text_states(sd, unique, words),
        "empty": text_states(sd, [""], {}),
        "guidance": np.float32(guidance),
        "seed": seed_words(seed),
    }
    title = f"Sampling ({sampler}, {steps} steps)"
    with Progress(len(prompts), title, unit="pictures", status="compiling…") as progress:
        return over_devices(
            _pictures,
            shared,
            rows,
            at_once=batch,
            progress=progress.update,
            modules=sd.modules,
            sampler=sampler,
            steps=steps,
            latent=(side, side, sd.unet.config.in_channels),
        )


def generate_classes(
    config: ConfigDict, sd: StableDiffusion, tokens: Float[np.ndarray, "k n d"]
) -> Float[np.ndarray, "k g h w 3"]:
    """The configured number of pictures for each class."""
    options = config.generate
    words = {f"<{k}>": vectors for k, vectors in enumerate(tokens)}
    texts = [options.prompt.replace("{}", word) for word in words]
    prompts = [text for text in texts for _ in range(options.per_class)]
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


def _features(params: PyTree, pixels: Array, *, tower: ViT | ModifiedResNet) -> Array:
    return encode_image(tower, params, pixels).astype(jnp.float32)


def clip_features(clip: CLIP, images: Float[np.ndarray, "b h w 3"]) -> np.ndarray:
    """CLIP image features of generated pictures, through the usual preprocessing, `[b p]`."""
    pixels = np.stack([clip.preprocess(Image.fromarray(x)) for x in to_uint8(images)])
    vision, tower = clip.params["vision"], clip.image_tower
    return over_devices(_features, vision, pixels, at_once=64, tower=tower)
