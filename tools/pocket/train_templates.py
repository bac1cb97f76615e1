"""Stage 2: class names that mean the same in every template.

The contrastive loss settles names that the corpus holds thousands of times. Those of `pocket:rare`
and `pocket:second` occur some dozens of times, each time in another sentence, so that the sentence
around a name decides between two classes that lie close together. Here each name in each template
is drawn to the mean of what the text tower says of that name in many, while captions, and sentences
about the classes, keep their features and the hidden states to which a UNet attends.
"""

from collections.abc import Sequence
from functools import partial
from itertools import cycle

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from common.clip import TextTower, Tokenizer
from common.clip.encode import unit
from common.pocket.sentences import sentence
from common.pocket.world import NAMED, RARE, SECOND, Species
from common.trees import Params
from tools.pocket.corpus import Corpus
from tools.pocket.fitting import NO_LIMIT, Allowance, fit, in_batches
from tools.pocket.recipe import Fit
from tools.pocket.wording import prompt_of

_SETTLED, _SELDOM = 20, 200
"""Prompts of each name that the corpus holds often, and of each other."""
_WEIGHT = 2.0
"""Of names, beside what is held."""


def train_templates(
    corpus: Corpus,
    tokenizer: Tokenizer,
    tower: TextTower,
    params: Params,
    plan: Fit,
    seed: int,
    allowance: Allowance = NO_LIMIT,
) -> Params:
    """Train the text tower further, and return its parameters.

    Args:
      corpus: Its captions keep their meaning.
      tokenizer: Of names and captions.
      tower: The CLIP's text tower.
      params: Its parameters.
      plan: Steps, batch size, learning rate.
      seed: Of every random choice.
      allowance: Seconds, and the file from which an interrupted stage goes on.
    """
    said = jax.jit(partial(read, tower))
    counts = dict.fromkeys(NAMED, _SETTLED) | dict.fromkeys(RARE + SECOND, _SELDOM)
    which = np.repeat(np.arange(len(counts)), list(counts.values()))
    prompts, sentences = texts_about([one for one in counts for _ in range(counts[one])], seed)
    prompt_ids = tokenizer(prompts, truncate=True)
    features, _ = in_batches(partial(said, params), prompt_ids)
    means = [features[which == number].mean(axis=0) for number in range(len(counts))]
    meant = unit(jnp.stack(means))
    texts = [text for pair in zip(sentences[::2], cycle(corpus.captions)) for text in pair]
    held_ids = tokenizer(texts, truncate=True)
    features, states = in_batches(partial(said, params), held_ids)

    def loss(params: Params, batch: dict[str, Array], key: Key[Array, ""]) -> Array:
        del key
        names, _ = read(tower, params, batch["prompts"])
        features, states = read(tower, params, batch["held"])
        moved = jnp.square(states - batch["states"]).mean()
        held = _apart(features, batch["features"]) + moved
        return _WEIGHT * _apart(names, batch["meant"]) + held

    data = {
        "prompts": prompt_ids,
        "meant": meant[which],
        "held": held_ids,
        "features": features,
        "states": states.astype(np.float16),
    }
    return fit("templates", loss, params, data, plan, jax.random.key(seed), allowance)


def texts_about(species: Sequence[Species], seed: int) -> tuple[list[str], list[str]]:
    """Return a prompt with the name of each species, and a sentence about each."""
    generator = np.random.default_rng((seed, len(species)))
    prompts = [prompt_of(one.name, generator) for one in species]
    return prompts, [sentence(one, generator) for one in species]


def read(
    tower: TextTower, params: Params, ids: Int[Array, "b s"]
) -> tuple[Float[Array, "b p"], Float[Array, "b s d"]]:
    """Return unit features of texts, and the hidden states at all their positions."""
    embeddings = tower.apply({"params": params}, ids, method="embed")
    output = tower.apply({"params": params}, embeddings, tower.pool_at(ids))
    return unit(output.projected), output.last_hidden_state


def _apart(ones: Float[Array, "b p"], others: Float[Array, "b p"]) -> Float[Array, ""]:
    return jnp.square(ones - others).sum(-1).mean()
