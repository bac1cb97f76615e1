"""The prompted feature by NumPy in float64, from section 3.3 of the paper; no batch, no cut."""

import numpy as np

EPS = 1e-5


def norm(x, weights):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + EPS)
    return x * weights["scale"] + weights["bias"]


def dense(x, weights):
    return x @ np.asarray(weights["kernel"], np.float64) + weights["bias"]


def attention(x, weights, heads):
    length, width = x.shape
    query, key, value = (
        dense(x, weights[name]).reshape(length, heads, width // heads).transpose(1, 0, 2)
        for name in ("query", "key", "value")
    )
    logits = query @ key.transpose(0, 2, 1) / np.sqrt(width // heads)
    logits[:, np.triu(np.ones((length, length), bool), 1)] = -np.inf
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return dense((shares @ value).transpose(1, 0, 2).reshape(length, width), weights["out"])


def feature(config, params, ids, prompts=None):
    """Unit feature `[p]` of one text, with prompts `[j t d]` over its words 1..t if given."""
    x = np.asarray(params["token_embedding"], np.float64)[ids]
    if prompts is not None:
        x[1 : 1 + prompts.shape[1]] = prompts[0]
    x = x + params["position_embedding"][: len(ids)]
    for layer in range(config.layers):
        weights = params[f"block_{layer}"]
        if prompts is not None and 0 < layer < len(prompts):
            x[1 : 1 + prompts.shape[1]] = prompts[layer]
        x = x + attention(norm(x, weights["norm1"]), weights["attention"], config.heads)
        hidden = dense(norm(x, weights["norm2"]), weights["mlp"]["fc1"])
        hidden = hidden / (1 + np.exp(-1.702 * hidden))
        x = x + dense(hidden, weights["mlp"]["fc2"])
    end = list(ids).index(config.eos)
    projected = norm(x, params["final_norm"])[end] @ params["projection"]["kernel"]
    return projected / np.linalg.norm(projected)
