"""Pictures of prompts, which may hold learned words; on all devices."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt8

from common.diffusion.added import AddedConditions
from common.diffusion.learned import LearnedVectors
from common.diffusion.parts import DiffusionModel, Modules
from common.diffusion.pipeline import text_to_image
from common.diffusion.states import prompt_groups
from common.diffusion.text_encoder import TextConditions
from common.photos.images import to_uint8
from common.progress import Progress
from common.seeds import seed_key, seed_words
from common.spread import on_all_devices, over_devices
from common.text import counted


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
    chosen = jax.tree.map(lambda leaf: leaf[rows["prompt"]], shared["texts"])
    opposite = jax.tree.map(
        lambda leaf, like: jnp.broadcast_to(leaf, like.shape), shared["empty"], chosen
    )
    sizes = jnp.broadcast_to(shared["sizes"], (len(keys), *shared["sizes"].shape))
    pictures = text_to_image(
        modules,
        shared["params"],
        chosen.states,
        opposite.states,
        jax.vmap(lambda key: jax.random.normal(key, latent))(keys),
        keys,
        sampler=sampler,
        steps=steps,
        guidance=shared["guidance"],
        added=_added(chosen, sizes),
        negative_added=_added(opposite, sizes),
    )
    # Of a thousand classes at 512 pixels, floats would take as much memory as a small host has.
    return to_uint8(pictures.astype(jnp.float32))


def _added(texts: TextConditions, sizes: Array) -> AddedConditions | None:
    return None if texts.pooled is None else AddedConditions(texts.pooled, sizes)


def generate(
    sd: DiffusionModel,
    prompts: Sequence[str],
    words: LearnedVectors,
    *,
    size: int | tuple[int, int],
    sampler: str,
    steps: int,
    guidance: float,
    batch: int,
    seed: int,
    negative: str = "",
    weighted: bool = False,
) -> UInt8[np.ndarray, "b h w 3"]:
    """Draw one picture for each prompt, on all devices of all processes.

    The i-th picture depends on the seed and i only, not on the number of pictures.

    Args:
      sd: The model.
      prompts: May hold learned words.
      words: Learned vectors by word, brackets included; of XL for each text encoder.
      size: Side in pixels, or width and height.
      sampler: A key of `common.diffusion.SAMPLERS`.
      steps: Denoising steps.
      guidance: Weight of classifier-free guidance; 1 or less is none.
      batch: Pictures at once over all devices, rounded up to a multiple of them.
      seed: Of the initial noise, below 2**64.
      negative: What to steer away from; may hold learned words.
      weighted: Whether prompts are read as `common.diffusion.weighted` says.
    """
    width, height = (size, size) if isinstance(size, int) else size
    shared = {
        # Once for all groups of prompts.
        "params": on_all_devices({name: sd.params[name] for name in ("unet", "vae")}),
        "guidance": np.float32(guidance),
        "seed": seed_words(seed),
        # As diffusers: a picture of this size that nothing was cut off.
        "sizes": np.array([height, width, 0, 0, height, width], np.float32),
    }
    groups = prompt_groups(sd, list(dict.fromkeys(prompts)), negative, words, weighted)
    title = f"Sampling ({sampler}, {counted(steps, 'step')})"
    order: list[int] = []
    parts: list[np.ndarray] = []
    with Progress(len(prompts), title, unit="pictures", status="compiling…") as progress:
        for group in groups:
            before, place = len(order), {text: row for row, text in enumerate(group.texts)}
            numbers = [number for number, text in enumerate(prompts) if text in place]
            rows = {
                "number": np.array(numbers, np.int32),
                "prompt": np.array([place[prompts[number]] for number in numbers], np.int32),
            }
            pictures = over_devices(
                _pictures,
                {**shared, "texts": group.conditions, "empty": group.opposite},
                rows,
                at_once=batch,
                progress=lambda done, before=before: progress.update(before + done),
                modules=sd.modules,
                sampler=sampler,
                steps=steps,
                latent=(
                    height // sd.downsampling,
                    width // sd.downsampling,
                    sd.unet.config.in_channels,
                ),
            )
            order += numbers
            parts.append(pictures)
    if len(parts) == 1:  # In their order already; thousands of pictures are not copied.
        return parts[0]
    return np.concatenate(parts)[np.argsort(order)]
