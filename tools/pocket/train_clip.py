"""Stage 1: the pocket CLIP, by the contrastive loss of CLIP (arXiv 2103.00020, section 2.3)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, UInt8

from common.clip import CLIPConfig, TextConfig, TextTower, Tokenizer, ViT, ViTConfig, pool_positions
from common.clip.preprocess import MEAN, STD
from common.pocket.renderer import SIZE
from tools.pocket.corpus import Corpus
from tools.pocket.fitting import NO_LIMIT, Allowance, fit
from tools.pocket.recipe import Fit
from tools.pocket.starting import Start

WIDTH = 128
# Captions are cut here, and the finished tower has no more positions: the U-Net attends to all
# of them, so a third of CLIP's own 77 makes everything about three times as fast.
POSITIONS = 22
_DRAWN_POSITIONS = 77
_START_SCALE, _LARGEST_SCALE = 1 / 0.07, 100.0


def clip_config(tokenizer: Tokenizer) -> CLIPConfig:
    """Return a CLIP of four layers a tower, pooled at the largest id as in Stable Diffusion."""
    shape = {"width": WIDTH, "layers": 4, "heads": 4, "mlp_width": 4 * WIDTH, "projection": WIDTH}
    text = TextConfig(
        vocab_size=tokenizer.vocab_size,
        bos=tokenizer.bos,
        eos=tokenizer.eos,
        pad=tokenizer.pad,
        positions=POSITIONS,
        pool="argmax",
        **shape,
    )
    return CLIPConfig(text, ViTConfig(image_size=SIZE, patch_size=8, **shape))


def train_clip(
    corpus: Corpus,
    tokenizer: Tokenizer,
    plan: Fit,
    seed: int,
    allowance: Allowance = NO_LIMIT,
    start: Start | None = None,
) -> dict[str, Any]:
    """Train both towers and return `{"text": ..., "vision": ..., "logit_scale": ...}`."""
    config = clip_config(tokenizer)
    positions = POSITIONS if start else _DRAWN_POSITIONS
    text_tower = TextTower(dataclasses.replace(config.text, positions=positions))
    image_tower = ViT(config.vision)
    text_key, vision_key, key = jax.random.split(jax.random.key(seed), 3)
    embeddings = jnp.zeros((1, POSITIONS, WIDTH))
    params = {
        "text": text_tower.init(text_key, embeddings, jnp.zeros(1, int))["params"],
        "vision": image_tower.init(vision_key, jnp.zeros((1, SIZE, SIZE, 3)))["params"],
        "logit_scale": jnp.log(jnp.asarray(_START_SCALE)),
    }
    if start:
        params = start.clip_params(params, tokenizer)

    def loss(params: Any, batch: dict[str, Array], key: Key[Array, ""]) -> Array:
        pixels = normalised(mirror_some(batch["pixels"], key))
        images = image_tower.apply({"params": params["vision"]}, pixels).features
        ids = batch["ids"]
        rows = text_tower.apply({"params": params["text"]}, ids, method="embed")
        ends = pool_positions(ids, "argmax", config.text.eos)
        texts = text_tower.apply({"params": params["text"]}, rows, ends).projected
        scale = jnp.minimum(jnp.exp(params["logit_scale"]), _LARGEST_SCALE)
        return contrastive_loss(images, texts, scale)

    ids = tokenizer(corpus.captions, truncate=True)
    data = {"pixels": corpus.pictures, "ids": ids}
    params = fit("CLIP", loss, params, data, plan, key, allowance)
    # CLIP's own weights hold a scale within the bound, as it is not clipped again.
    params["logit_scale"] = np.minimum(params["logit_scale"], np.log(_LARGEST_SCALE))
    # Rows that no caption reaches keep their initial values.
    params["text"]["position_embedding"] = params["text"]["position_embedding"][:POSITIONS]
    return params


def normalised(
    pixels: UInt8[Array, "b h w 3"], mean: Sequence[float] = MEAN, std: Sequence[float] = STD
) -> Float[Array, "b h w 3"]:
    """Normalise pictures of the tower's size; as CLIP does, unless another mean is given."""
    return (pixels / 255.0 - jnp.asarray(mean)) / jnp.asarray(std)


def contrastive_loss(
    images: Float[Array, "b p"], texts: Float[Array, "b p"], scale: Float[Array, ""]
) -> Float[Array, ""]:
    """Return the symmetric cross-entropy over the batch; image i belongs to text i."""
    images = images / jnp.linalg.norm(images, axis=-1, keepdims=True)
    texts = texts / jnp.linalg.norm(texts, axis=-1, keepdims=True)
    logits = scale * images @ texts.T
    labels: Int[Array, " b"] = jnp.arange(len(logits))
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    return (cross_entropy(logits, labels) + cross_entropy(logits.T, labels)).mean() / 2


def mirror_some(pixels: Array, key: Key[Array, ""]) -> Array:
    """Mirror half of the pictures."""
    flags = jax.random.bernoulli(key, 0.5, (len(pixels), 1, 1, 1))
    return jnp.where(flags, pixels[:, :, ::-1], pixels)
