"""Frozen CLIP features of texts: computed once, kept on disk."""

import functools
import hashlib
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PyTree

from common.clip import CLIP, TextTower, encode_text
from common.clip.encoder import WIDTHS
from common.data.cache import Key
from common.data.passes import cached_pass
from common.encoding import Encoder
from common.progress import say
from common.text import counted, some

TEXTS_AT_ONCE = 64
PART = 512  # texts in a file, so that an interrupted pass goes on behind the last one


def text_features(
    clip: CLIP,
    texts: Sequence[str],
    cache: Path,
    tell_cut: Callable[[Collection[str]], None] = lambda cut: None,
) -> Float[np.ndarray, "b p"]:
    """Return features of texts, not normalised; what is too long for the tower is cut.

    Each distinct text is encoded once and with no more columns than its group of lengths needs,
    which is exact where the tower is causal, for padding comes last; others see all of it.

    Args:
      clip: Whose text tower.
      texts: As typed.
      cache: Folder of what was encoded before.
      tell_cut: Told which texts are cut, where some are; see `say_cut`.
    """
    distinct = list(dict.fromkeys(texts))
    sequences = clip.tokenizer.encode_all(distinct)
    if cut := too_long(clip, distinct, sequences):
        tell_cut(cut)
    features = _encode_distinct(clip, clip.tokenizer.pack(sequences, truncate=True), cache)
    row = {text: i for i, text in enumerate(distinct)}
    return features[[row[text] for text in texts]]


def too_long(clip: CLIP, texts: Sequence[str], sequences: Sequence[Sequence[int]]) -> list[str]:
    """Return those of some texts, with their tokens, that do not fit the text tower."""
    room = clip.tokenizer.room
    return [text for text, ids in zip(texts, sequences, strict=True) if len(ids) > room]


def say_cut(
    called: str,
    cut: Collection[str],
    limit: str = "the text tower reads",
    shown: str = "",
) -> None:
    """Print which texts are cut to their first words.

    Args:
      called: One of them, e.g. "caption".
      cut: All of them.
      limit: What they are longer than.
      shown: What stands for them in the line; the first two by default.
    """
    say(f"{counted(len(cut), called)} longer than {limit} ({shown or some(cut, 2)}): cut.")


def _encode_distinct(
    clip: CLIP, ids: Int[np.ndarray, "b s"], cache: Path
) -> Float[np.ndarray, "b p"]:
    config, encode = clip.config.text, _text_encoder(clip.text_tower)
    if config.causal:
        lengths = (ids == config.eos).argmax(1) + 1
    else:
        lengths = np.full(len(ids), ids.shape[1])
    widths = [*(width for width in WIDTHS if width < lengths.max()), int(lengths.max())]
    group = np.searchsorted(widths, lengths)
    features = np.empty((len(ids), config.projection), np.float32)

    for number, width in enumerate(widths):
        rows = np.flatnonzero(group == number)
        if not len(rows):
            continue
        tokens = ids[rows, :width]

        def key(places: range, tokens: np.ndarray = tokens) -> Key:
            chosen = np.ascontiguousarray(tokens[places.start : places.stop], "<i4")
            return {
                "what": f"clip text features, {chosen.shape[1]} columns",
                "weights": clip.fingerprint,
                "data": hashlib.sha256(chosen.tobytes()).hexdigest(),
                "dtype": str(jnp.dtype(clip.dtype)),
            }

        features[rows] = cached_pass(
            encode,
            clip.params["text"],
            tokens.__getitem__,
            len(rows),
            names=("features",),
            shapes={"features": (config.projection,)},
            batch_size=TEXTS_AT_ONCE,
            part=PART,
            directory=cache,
            key=key,
            title=f"Encoding sentences (CLIP, up to {width} tokens)",
            unit="sentences",
        )["features"]
    return features


# One function per tower, so that what JAX compiled for one pass serves the next.
@functools.cache
def _text_encoder(tower: TextTower) -> Encoder:
    def encode(params: PyTree, ids: jax.Array) -> dict[str, jax.Array]:
        return {"features": encode_text(tower, params, ids).astype("float32")}

    return encode
