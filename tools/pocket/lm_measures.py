"""Figures of the pocket language model on texts that it has not read."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Bool, Int

from common.language import LM, greedy
from common.language.prompts import SEPARATOR, question
from common.pocket.captions import Question, questions
from common.pocket.phrases import pick
from tools.pocket.documents import Pieces, anonymous_scene, caption_document, encode, told

SHOTS = (0, 1, 2, 4)
_TOLD = 1  # full captions in place of a picture
_LONGEST_ANSWER = 2  # tokens


def measure_lm(lm: LM, count: int, seed: int) -> dict[str, float]:
    """Measure nats per token of captions, and accuracy of answers after 0 to 4 examples."""
    figures = {}
    for name, told_before in (("alone", 0), ("behind_a_full_one", _TOLD)):
        figures[f"caption/nats_per_token_{name}"] = _caption_nats(lm, told_before, count, seed)
    for shots in SHOTS:
        figures[f"answers/accuracy_{shots}_shot"] = _answer_accuracy(lm, shots, count, seed)
    return figures


def padded(
    rows: Sequence[Sequence[int]], fill: int
) -> tuple[Int[np.ndarray, "b s"], Bool[np.ndarray, "b s"]]:
    """Return rows of ids, padded on the left, and where they are not padding."""
    length = max(map(len, rows))
    mask = np.array([[i >= length - len(row) for i in range(length)] for row in rows])
    ids = np.full(mask.shape, fill, np.int32)
    ids[mask] = [token for row in rows for token in row]
    return ids, mask


def _caption_nats(lm: LM, told_before: int, count: int, seed: int) -> float:
    rows, targets = [], []
    for generator in _generators(count, seed):
        *before, last = caption_document(anonymous_scene(generator), told_before, generator)
        ids = [*lm.tokenizer.encode(last), lm.config.eos]
        rows.append([*encode(before, lm.tokenizer), *ids])
        targets.append(len(ids))
    ids, mask = padded(rows, lm.config.eos)

    @jax.jit
    def nats(params, ids, mask):
        variables = {"params": params}
        embedded = lm.model.apply(variables, ids, method="embed")
        hidden, _ = lm.model.apply(variables, embedded, mask)
        logits = lm.model.apply(variables, hidden[:, :-1], method="logits")
        return optax.softmax_cross_entropy_with_integer_labels(logits, ids[:, 1:])

    losses = np.asarray(nats(lm.params, jnp.asarray(ids), jnp.asarray(mask)))
    longest = losses.shape[1]
    wanted = np.arange(longest) >= longest - np.array(targets)[:, None]
    return float(losses[wanted].mean())


def _answer_accuracy(lm: LM, shots: int, count: int, seed: int) -> float:
    rows, answers = [], []
    for generator in _generators(count, seed):
        pieces: Pieces = []
        for number in range(shots + 1):
            scene = anonymous_scene(generator)
            chosen: Question = pick(questions(scene), generator)
            pieces += [*told(scene, _TOLD, generator), question(chosen.text)]
            if number < shots:
                pieces += [f" {chosen.answer}", SEPARATOR]
        rows.append(encode(pieces, lm.tokenizer))
        answers.append(chosen.answer)
    ids, mask = padded(rows, lm.config.eos)
    embedded = lm.model.apply({"params": lm.params}, jnp.asarray(ids), method="embed")
    mask = jnp.asarray(mask)
    tokens = np.asarray(greedy(lm.model, lm.params, embedded, mask, length=_LONGEST_ANSWER))
    written = [lm.tokenizer.decode(row).split("\n")[0].strip() for row in tokens.tolist()]
    return float(np.mean([a == b for a, b in zip(written, answers, strict=True)]))


def _generators(count: int, seed: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, index, 2)) for index in range(count)]
