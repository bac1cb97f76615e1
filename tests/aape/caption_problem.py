"""Captioned images as random features, with tiny models; no picture is opened."""

import hashlib
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from aape_jax.captioning import method, report
from aape_jax.captioning.features import ImageFeatures
from aape_jax.datasets.caption_set import CaptionSet
from common.clip import CLIP
from common.clip.known import describe_clip
from common.data import ImageSplit
from common.language import LMConfig
from common.photos.photo import ArrayPhoto
from configs.aape_captioning import get_config
from tests.aape.problem import vectors
from tests.language.tiny import byte_tokenizer, random_lm

WIDTH, CHANNELS, CELLS = 16, 10, 4
COLOURS = ("red", "green", "blue")
LM = LMConfig(vocab_size=300, width=24, layers=1, heads=3, mlp_width=40, positions=64, eos=7)


def pictures(count, grey=0):
    photo = ArrayPhoto(np.full((8, 8, 3), grey, np.uint8))
    names = tuple(f"image-{i}" for i in range(count))
    return ImageSplit(np.arange(count), names, (photo,) * count)


def views(colours, seed):
    """The grid tells the colour, x only part of it."""
    rng = np.random.default_rng(seed)
    grid = vectors(3, CELLS, CHANNELS, seed=1)[colours]
    grid = grid + 0.1 * rng.normal(size=grid.shape)
    x = vectors(3, WIDTH, seed=2)[colours] + 0.2 * vectors(len(colours), WIDTH, seed=seed)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return ImageFeatures(x.astype(np.float32), grid.astype(np.float16))


def described(count, seed):
    """One or two captions each."""
    colours = np.random.default_rng(seed).integers(3, size=count)
    texts = tuple(
        (f"a {COLOURS[c]} dog", f"{COLOURS[c]} cats")[: 1 + i % 2] for i, c in enumerate(colours)
    )
    mask = np.array([[True, i % 2 == 1] for i in range(count)])
    captions = vectors(count, 2, WIDTH, seed=seed + 1) * mask[..., None]
    return Described(CaptionSet(pictures(count), texts), views(colours, seed), captions, mask)


def text_vectors(clip, texts, cache, tell_cut=None):
    """A direction for each text."""
    seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
    return np.stack([vectors(WIDTH, seed=seed) for seed in seeds])


@dataclass(frozen=True, eq=False)
class Described:
    """A part of a data set with features: of its images, and of its captions by image."""

    texts: CaptionSet
    images: ImageFeatures
    captions: np.ndarray
    mask: np.ndarray


@cache
def tiny_lm():
    return random_lm(LM, byte_tokenizer(), size=0.2)


@cache
def untrained_clip():
    """It encodes nothing; its features have the width of those in its place."""
    clip = describe_clip("pocket")
    text = replace(clip.config.text, projection=WIDTH)
    vision = replace(clip.config.vision, image_size=2, patch_size=1, width=CHANNELS)
    return replace(clip, config=replace(clip.config, text=text, vision=vision))


def install(monkeypatch, parts=None, lm=None):
    """Puts tiny models and random features in place of files; gives both."""
    parts = parts or {"train": described(12, 4), "test": described(5, 7)}
    lm, clip = lm or tiny_lm(), untrained_clip()
    monkeypatch.setattr(method, "clip_of", lambda *_: clip)
    monkeypatch.setattr(method, "load_clip", lambda *_: clip)
    monkeypatch.setattr(method, "load_lm", lambda *_: lm)
    monkeypatch.setattr(
        method, "open_caption_set", lambda _: {n: own.texts for n, own in parts.items()}
    )
    known = parts["train"]
    flat, owner = known.captions[known.mask], np.nonzero(known.mask)[0]
    monkeypatch.setattr(
        method, "encode_images", lambda given, *_: {name: parts[name].images for name in given}
    )
    monkeypatch.setattr(method, "encode_captions", lambda *_: (flat, owner))
    monkeypatch.setattr(
        report, "image_features", lambda clip, split, cache: vectors(len(split), WIDTH)
    )
    monkeypatch.setattr(report, "text_features", text_vectors)
    monkeypatch.setattr(CLIP, "text_features", lambda own, x, truncate: text_vectors(own, x, None))
    return parts, lm


def settings(**changes):
    fields = {
        "lm.aape_tokens": 1,  # Of the 64 positions examples of questions leave no more.
        "compare": "(before_visual,)",
        "batch": 4,
        "generator.hidden": 8,
        "lm.beams": 2,
        "lm.length": 8,
        "map_updates": 8,
        "warmup": 1,
        "updates": 16,
        "steps_per_call": 4,
        "log_every": 4,
        "save_every": 8,
        "images_at_once": 3,
        "mesh.data": 1,
        "pictures": 2,
        "compile_cache": "",
        "progress": "false",
        **changes,
    }
    return get_config(",".join(f"{name}={value}" for name, value in fields.items()))
