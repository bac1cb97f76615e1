"""What prompts condition the UNet on, by all text encoders of a model."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from common.clip.text import pool_positions
from common.diffusion.chunks import Chunk, chunk_weights, prompt_chunks, weigh
from common.diffusion.embedding import Vocabulary
from common.diffusion.learned import LearnedVectors, vectors_of
from common.diffusion.parts import DiffusionModel
from common.diffusion.text_encoder import TextConditions, TextEncoder, joined
from common.diffusion.words import word_key, words_of_several
from common.spread import over_devices

CHUNKS_AT_ONCE = 64
"""Of texts, over all devices: the towers' activations for a thousand would fill a device."""

_REMEDY = "shorten it, or draw with --weighted (in Python weighted=True), which takes any length"


def vocabularies_of(sd: DiffusionModel, words: LearnedVectors) -> list[Vocabulary]:
    """Return the tokens of each of a model's text encoders, with learned words beside them."""
    parts = [encoder.part for encoder in sd.modules.text_encoders]
    keys = set(map(word_key, words))
    vocabularies = []
    for part, tokenizer in zip(parts, sd.tokenizers, strict=True):
        table = np.asarray(sd.params[part.params]["token_embedding"])
        own = {
            word: table[[tokenizer.encode(token)[0] for token in tokens]].astype(np.float32)
            for word, tokens in words_of_several(tokenizer.added_words).items()
            if word_key(word) not in keys
        }
        known = own | vectors_of(words, part, parts)
        vocabularies.append(Vocabulary(tokenizer, table, known, tokenizer.added_words))
    return vocabularies


def vocabulary_of(sd: DiffusionModel, words: LearnedVectors) -> Vocabulary:
    """Return the first text encoder's tokens with learned words beside them."""
    return vocabularies_of(sd, words)[0]


def encode_prompts(
    sd: DiffusionModel, prompts: Sequence[str], words: LearnedVectors
) -> TextConditions:
    """Return what each prompt conditions the UNet on; `words` are learned vectors by word."""
    known = vocabularies_of(sd, words)
    chunks = [[vocabulary.fitting(text, _REMEDY) for text in prompts] for vocabulary in known]
    return joined(_encoded(sd, known, chunks), np.concatenate)


def encode_weighted(
    sd: DiffusionModel, prompts: Sequence[str], words: LearnedVectors
) -> list[TextConditions]:
    """Return what each weighted prompt conditions the UNet on: chunk behind chunk.

    Pooled is the first chunk, without weights, as in AUTOMATIC1111's web UI.
    """
    known = vocabularies_of(sd, words)
    by_tower = [[prompt_chunks(vocabulary, text) for text in prompts] for vocabulary in known]
    # Each tokenizer fills chunks by itself; where one needs fewer, empty ones follow.
    counts = [max(map(len, several)) for several in zip(*by_tower, strict=True)]
    chunks = [
        [chunk for several, n in zip(tower, counts, strict=True) for chunk in _extended(several, n)]
        for tower in by_tower
    ]
    encoded = joined(
        list(map(_weighed, known, chunks, _encoded(sd, known, chunks))), np.concatenate
    )
    starts = np.cumsum([0, *counts[:-1]])
    return [
        TextConditions(
            np.concatenate(encoded.states[start : start + count]),
            None if encoded.pooled is None else encoded.pooled[start],
        )
        for start, count in zip(starts, counts, strict=True)
    ]


def _extended(chunks: list[Chunk], count: int) -> list[Chunk]:
    return chunks + [[]] * (count - len(chunks))


def _weighed(
    vocabulary: Vocabulary, chunks: Sequence[Chunk], encoded: TextConditions
) -> TextConditions:
    weights = [chunk_weights(vocabulary, chunk) for chunk in chunks]
    return TextConditions(np.stack(list(map(weigh, encoded.states, weights))), encoded.pooled)


def _encoded(
    sd: DiffusionModel, vocabularies: Sequence[Vocabulary], chunks: Sequence[Sequence[Chunk]]
) -> list[TextConditions]:
    """Return the conditions of the chunks of each text encoder."""
    encoders = sd.modules.text_encoders
    rows = [
        (np.stack([vocabulary.framed(chunk) for chunk in tower]), _ends(encoder, vocabulary, tower))
        for encoder, vocabulary, tower in zip(encoders, vocabularies, chunks, strict=True)
    ]
    params = {encoder.part.params: sd.params[encoder.part.params] for encoder in encoders}
    return over_devices(_conditions, params, rows, at_once=CHUNKS_AT_ONCE, encoders=encoders)


def _ends(encoder: TextEncoder, vocabulary: Vocabulary, chunks: Sequence[Chunk]) -> np.ndarray:
    """Return the positions that the tower pools at; learned words count as no end."""
    config = encoder.tower.config
    if config.projection is None:
        return np.zeros(len(chunks), np.int32)  # nothing is pooled here
    ids = np.stack([vocabulary.framed_ids(chunk) for chunk in chunks])
    return np.asarray(pool_positions(jnp.asarray(ids), config.pool, config.eos), np.int32)


def _conditions(
    params: PyTree, rows: list[tuple[Array, Array]], *, encoders: tuple[TextEncoder, ...]
) -> list[Any]:
    pairs = zip(encoders, rows, strict=True)
    return [encoder(params, embedded, ends) for encoder, (embedded, ends) in pairs]
