"""Pictures of prompts, which may hold learned words; on all devices."""

from collections.abc import Collection, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from common.clip import TextTower, Tokenizer
from common.diffusion.parts import DiffusionModel, Modules
from common.diffusion.pipeline import text_to_image
from common.diffusion.words import find_words
from common.errors import UserError
from common.progress import Progress
from common.seeds import seed_key, seed_words
from common.spread import over_devices


def _states(params: PyTree, embedded: Array, *, tower: TextTower) -> Array:
    ends = jnp.zeros(len(embedded), jnp.int32)  # nothing is pooled here
    return tower.apply({"params": params}, embedded, ends).last_hidden_state


def text_states(
    sd: DiffusionModel, prompts: Sequence[str], words: Mapping[str, np.ndarray]
) -> Float[np.ndarray, "b s d"]:
    """Return the text states of each prompt; `words` are learned vectors by word."""
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
    sd: DiffusionModel,
    prompts: Sequence[str],
    words: Mapping[str, np.ndarray],
    *,
    size: int,
    sampler: str,
    steps: int,
    guidance: float,
    batch: int,
    seed: int,
    negative: str = "",
) -> Float[np.ndarray, "b h w 3"]:
    """Draw one picture for each prompt, in [0, 1], on all devices of all processes.

    The i-th picture depends on the seed and i only, not on the number of pictures.

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
      negative: what to steer away from; may hold learned words.
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
        "empty": text_states(sd, [negative], words),
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


def embed_prompt(
    tokenizer: Tokenizer,
    table: Float[np.ndarray, "v d"],
    text: str,
    words: Mapping[str, np.ndarray],
    others: Collection[str] = (),
) -> Float[np.ndarray, "s d"]:
    """Return the token embeddings of a prompt that may hold learned words anywhere, padded.

    Args:
      tokenizer: of the text tower.
      table: its token embeddings.
      text: such as "a photo of <dog2> on the beach".
      words: learned vectors `[n d]` by word; see `find_words`.
      others: words in brackets that the tokenizer knows itself.

    Raises:
      UserError: a word in brackets is not among `words`, its vectors are of another width than
        the table, or the prompt is too long.
    """
    ids: list[int] = []
    learned: list[np.ndarray] = []
    end = 0
    for match in find_words(text, words, others):
        vectors = words[match.word]
        if vectors.shape[1] != table.shape[1]:
            raise UserError(
                f"the vectors of {match.word} are {vectors.shape[1]} wide, and this text tower "
                f"takes vectors {table.shape[1]} wide: use tokens of the same base model."
            )
        ids += tokenizer.encode(text[end : match.start])
        ids += range(len(table) + len(learned), len(table) + len(learned) + len(vectors))
        learned += list(vectors)
        end = match.end
    ids += tokenizer.encode(text[end:])
    if len(ids) > tokenizer.length - 2:
        note = f", {len(learned)} of them learned" if learned else ""
        raise UserError(
            f"the prompt {text if len(text) < 60 else text[:57] + '...'!r} has {len(ids)} "
            f"tokens{note}, and {tokenizer.length - 2} fit: shorten it."
        )
    packed = tokenizer.pack([ids])[0]
    extended = np.concatenate([table, np.asarray(learned).reshape(-1, table.shape[1])])
    return extended[packed]
