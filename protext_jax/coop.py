"""CoOp (arXiv 2109.01134): prompts of the first block alone, learned from labelled photos.

It is what ProText argues against, so it stands beside it as a reference point. Photos enter as
cached features of their centre crop, where CoOp crops and flips at random; the tower and its
short cuts are ProText's.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree
from ml_collections import ConfigDict

from common.clip import CLIP
from common.clip.encode import unit
from common.data import OpenedDataset, few_shot
from common.data.coop_sets import identify
from common.errors import UserError
from common.names import readable
from common.protocols.coop import (
    RATE,
    WARMUP_EPOCHS,
    WARMUP_RATE,
    coop_sgd,
    epochs_by_shots,
)
from common.protocols.epochs import Sampler, cosine_by_epoch
from common.protocols.fitting import fit
from common.seeds import random_key
from protext_jax.fast import packed_features, start_states
from protext_jax.learned import LearnedPrompts
from protext_jax.packing import BatchLayout, Packer, Sizes, suffixes
from protext_jax.pictures import encode_pictures
from protext_jax.prompts import STANDARD_DEVIATION, default_template, tokenise
from protext_jax.tower import prompted_features

LENGTH, SHORT, BATCH = 16, 4, 32


def context_length(clip: CLIP) -> int:
    """Return CoOp's 16 vectors, or the 4 of its other setting where the tower is too short."""
    return LENGTH if clip.config.text.positions >= 4 * LENGTH else SHORT


def check_shots(config: ConfigDict, dataset: OpenedDataset | None) -> None:
    """Refuse `coop_shots` without photos to learn from.

    Raises:
      UserError: There are none.
    """
    if config.coop_shots < 0 or (config.coop_shots and dataset is None):
        raise UserError(
            f"coop_shots={config.coop_shots} needs photos: give data=DATASET, or coop_shots=0."
        )
    if config.coop_shots and not len(dataset.train):
        raise UserError(
            f"coop_shots={config.coop_shots} needs photos to learn from, but {config.data!r} has "
            "test photos alone: give coop_shots=0."
        )


ClassEncoder = Callable[[PyTree, Array], Array]
"""Of frozen arrays and a context `[1 t d]`: returns the features of all classes, by label."""


def class_encoder(clip: CLIP, names: list[str]) -> tuple[ClassEncoder, PyTree]:
    """Return what encodes all classes behind a context, and the frozen arrays that it reads."""
    tower, params = clip.text_tower, clip.params["text"]
    if not clip.config.text.causal:
        length = context_length(clip)
        texts = tokenise(clip.tokenizer, default_template(length), names, length)

        def encode_plainly(frozen: PyTree, context: Array) -> Array:
            params, ids, end = frozen
            return prompted_features(tower, params, context, ids, end)

        return encode_plainly, (params, texts.ids, texts.end)
    layout, suffix = whole(clip, names)
    order = np.argsort(layout.rows[:, 0])  # slots lie by length, labels by class

    def encode(frozen: PyTree, context: Array) -> Array:
        params, suffix, start, layout, order = frozen
        return packed_features(tower, params, context, suffix, start, layout)[order]

    return encode, (params, suffix, start_states(tower, params), layout, order)


def whole(clip: CLIP, names: list[str]) -> tuple[BatchLayout, Float[np.ndarray, "total d"]]:
    """Pack all classes into one batch; `layout.rows` says which class each slot holds.

    Returns:
      The layout, and the embeddings of the classes' own tokens.
    """
    length = context_length(clip)
    texts = tokenise(clip.tokenizer, default_template(length), names, length)
    ids, position, lengths, starts = suffixes(texts.ids, texts.end, length)
    label = np.arange(len(names))
    everything = Sampler(len(names), len(names), seed=0)
    sizes = Sizes.of([(everything, 1)], label, lengths, shards=1)
    layout = Packer(sizes, label, lengths, starts)(label)
    params = clip.params["text"]
    embedded = params["token_embedding"][ids] + params["position_embedding"][position]
    return jax.tree.map(lambda x: x[0], layout), embedded


def train_coop(clip: CLIP, dataset: OpenedDataset, shots: int, seed: int, cache: Path) -> Array:
    """Train the context `[1 t d]` by CoOp's recipe: SGD with a cosine, a batch of 32.

    Args:
      clip: The model.
      dataset: Whose `train` photos are drawn from.
      shots: Photos per class.
      seed: Of the photos, the start and the order.
      cache: Folder of features.
    """
    train = few_shot(dataset.train, shots, seed)
    encode, classes = class_encoder(clip, [readable(name) for name in dataset.classnames])
    frozen = {
        "classes": classes,
        "images": unit(jnp.asarray(encode_pictures(clip, train, cache))),
        "labels": train.labels,
        "scale": clip.params["logit_scale"],
    }

    def loss(context: Float[Array, "1 t d"], frozen: PyTree, rows: Array) -> Float[Array, ""]:
        features = encode(frozen["classes"], context)
        logits = jnp.exp(frozen["scale"]) * frozen["images"][rows] @ features.T
        labels = frozen["labels"][rows]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    sampler = Sampler(len(train), BATCH, seed)
    epochs = epochs_by_shots(shots, identify(dataset.name))

    def rate(step: Array) -> Array:
        epoch = step // sampler.per_epoch
        return cosine_by_epoch(epoch, epochs, RATE, WARMUP_EPOCHS, WARMUP_RATE)

    shape = (1, context_length(clip), clip.config.text.width)
    context = STANDARD_DEVIATION * jax.random.normal(random_key(seed), shape)
    batches = sampler.steps(epochs * sampler.per_epoch)
    return fit(loss, context, jax.device_put(frozen), batches, coop_sgd(rate), "CoOp")


def as_learned(context: Float[Array, "1 t d"]) -> LearnedPrompts:
    """Return the context as prompts of depth 1."""
    return LearnedPrompts({"prompts": np.asarray(context)}, {})
