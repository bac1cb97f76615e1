"""SigLIP's towers in numpy and float64, written from its paper and big_vision's layout."""

import math

import numpy as np

EPS = 1e-6


def norm(x, p):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPS)
    return scaled * p["scale"] + p["bias"]


def dense(x, p):
    return x @ np.asarray(p["kernel"], np.float64) + p["bias"]


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def mlp(x, p):
    return dense(gelu_tanh(dense(x, p["fc1"])), p["fc2"])


def attention(x, seen, p, heads):
    """Every row of x asks, every row of `seen` answers; one head after the other."""
    query, key, value = (
        np.split(dense(y, p[name]), heads, -1)
        for y, name in ((x, "query"), (seen, "key"), (seen, "value"))
    )
    mixed = []
    for q, k, v in zip(query, key, value, strict=True):
        weights = np.exp(q @ k.T / math.sqrt(q.shape[-1]))
        mixed.append(weights / weights.sum(-1, keepdims=True) @ v)
    return dense(np.concatenate(mixed, -1), p["out"])


def block(x, p, heads):
    y = norm(x, p["norm1"])
    x = x + attention(y, y, p["attention"], heads)
    return x + mlp(norm(x, p["norm2"]), p["mlp"])


def text_feature(p, ids, config):
    """One text of the tower's length: the last position, through the head."""
    x = np.asarray(p["token_embedding"], np.float64)[ids] + p["position_embedding"]
    for layer in range(config.layers):
        x = block(x, p[f"block_{layer}"], config.heads)
    return dense(norm(x, p["final_norm"])[-1], p["projection"])


def image_feature(p, pixels, config):
    """One photo: its patches row by row, no class token, and attention of the probe."""
    size, side = config.patch_size, config.image_size // config.patch_size
    cut = pixels[: side * size, : side * size].astype(np.float64)
    patches = cut.reshape(side, size, side, size, 3).swapaxes(1, 2).reshape(side * side, -1)
    kernel = p["patch_embedding"]["kernel"].reshape(patches.shape[1], -1)
    x = dense(patches, {"kernel": kernel, "bias": p["patch_embedding"]["bias"]})
    x = x + p["position_embedding"]
    for layer in range(config.layers):
        x = block(x, p[f"block_{layer}"], config.heads)
    x, head = norm(x, p["post_norm"]), p["head"]
    pooled = attention(head["probe"][0], x, head["attention"], config.heads)
    return (pooled + mlp(norm(pooled, head["norm"]), head["mlp"]))[0]
