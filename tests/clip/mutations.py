"""Breaks SigLIP: `python -m tests.clip.mutations [NAME ...]`."""

from tests.mutations import Mutation, main

SIGLIP = "clip/test_siglip.py"
BIG_VISION = "clip/test_big_vision.py"
PROTEXT = "protext/test_siglip.py"
AAPE = "aape/test_siglip.py"
KNOWN = "clip/test_known.py"

MUTATIONS = (
    Mutation(
        "siglip-pools-at-its-end",
        "common/clip/siglip_files.py",
        '"pool": "last"',
        '"pool": "eos"',
        SIGLIP,
    ),
    Mutation(
        "siglip-pools-before-the-last",
        "common/clip/text.py",
        "ids.shape[-1] - 1)",
        "ids.shape[-1] - 2)",
        SIGLIP,
    ),
    Mutation(
        "siglip-looks-back-alone",
        "common/clip/siglip_files.py",
        '"causal": False',
        '"causal": True',
        SIGLIP,
    ),
    Mutation(
        "a-head-without-bias",
        "common/clip/siglip_files.py",
        "projection_bias=True",
        "projection_bias=False",
        SIGLIP,
    ),
    Mutation(
        "another-gelu",
        "common/clip/layers.py",
        "nn.gelu(x, approximate=True)",
        "nn.gelu(x, approximate=False)",
        SIGLIP,
    ),
    Mutation(
        "a-coarser-norm",
        "common/clip/config.py",
        "    eps: float = 1e-6\n",
        "    eps: float = 1e-5\n",
        SIGLIP,
    ),
    Mutation(
        "pooling-of-what-is-not-normed",
        "common/clip/siglip.py",
        "features = self.head(last)",
        "features = self.head(hidden_states[-1])",
        SIGLIP,
    ),
    Mutation(
        "a-residual-of-the-norm",
        "common/clip/siglip.py",
        'return (x + mlp(LayerNorm(c.eps, self.dtype, name="norm")(x)))[:, 0]',
        'x = LayerNorm(c.eps, self.dtype, name="norm")(x)\n        return (x + mlp(x))[:, 0]',
        SIGLIP,
    ),
    Mutation(
        "the-probe-sees-itself",
        "common/clip/siglip.py",
        "x = attention(probe, patches)",
        "x = attention(probe, jnp.concatenate([probe, patches], axis=1))",
        SIGLIP,
    ),
    Mutation(
        "a-sigmoid-without-bias",
        "common/clip/model.py",
        "self.scale * cosines + self.bias",
        "self.scale * cosines",
        SIGLIP,
    ),
    Mutation(
        "bilinear-for-all",
        "common/clip/preprocess.py",
        "RESAMPLING[self.resample]",
        "Image.Resampling.BICUBIC",
        SIGLIP,
    ),
    Mutation(
        "resampling-not-told-apart-in-caches",
        "common/clip/preprocess.py",
        '"" if self.resample == "bicubic" else',
        '"" if self.resample else',
        SIGLIP,
    ),
    Mutation(
        "capitals-stay",
        "common/clip/siglip_pieces.py",
        '[normalizers.Lowercase(), normalizers.Replace(" ", SPACE)]',
        '[normalizers.Replace(" ", SPACE)]',
        SIGLIP,
    ),
    Mutation(
        "signs-stay",
        "common/clip/siglip_pieces.py",
        '            normalizers.Replace(Regex(f"[{_PUNCTUATION}]"), ""),\n',
        "",
        SIGLIP,
    ),
    Mutation(
        "a-start-token-for-all",
        "common/clip/tokenizer.py",
        "return 1 if self.bos is None else 2",
        "return 2",
        SIGLIP,
    ),
    Mutation(
        "giants-texts-as-wide-as-their-images",
        "common/clip/families/siglip.py",
        "_sizes(_GEMMA, 16, side, _SO400M, _GIANT)",
        "_sizes(_GEMMA, 16, side, _GIANT)",
        KNOWN,
    ),
    Mutation(
        "blocks-in-one-array-are-one-block",
        "common/weights/big_vision.py",
        "if (match := _STACKED.fullmatch(key)) and array.ndim:",
        "if False:",
        BIG_VISION,
    ),
    Mutation(
        "no-identity-for-a-missing-head",
        "common/weights/big_vision.py",
        "not {kernel, bias} & tensors.keys():",
        "False:",
        BIG_VISION,
    ),
    Mutation(
        "the-side-is-that-of-the-patches",
        "common/clip/big_vision.py",
        "return multiple if multiple < least + patch else least",
        "return least",
        BIG_VISION,
    ),
    Mutation(
        "prompts-behind-a-start-that-is-not-there",
        "protext_jax/tower.py",
        "slots = slice(first, first + length)",
        "slots = slice(1, 1 + length)",
        PROTEXT,
    ),
    Mutation(
        "prompted-texts-read-at-their-end",
        "protext_jax/tower.py",
        "pool_at = end if tower.config.causal else tower.pool_at(ids)",
        "pool_at = end",
        PROTEXT,
    ),
    Mutation(
        "short-cuts-for-all-towers",
        "protext_jax/plan.py",
        ' and config.mapping == "prompts" and text.causal',
        ' and config.mapping == "prompts"',
        PROTEXT,
    ),
    Mutation(
        "classes-without-their-padding",
        "protext_jax/classifier.py",
        "longest = int(texts.end.max()) + 1 if cut else texts.ids.shape[1]",
        "longest = int(texts.end.max()) + 1",
        PROTEXT,
    ),
    Mutation(
        "cached-texts-without-their-padding",
        "common/data/clip_features.py",
        "    if config.causal:\n",
        "    if True:\n",
        AAPE,
    ),
    Mutation(
        "a-context-behind-the-first-word",
        "aape_jax/classification/baselines/context.py",
        "(0, tower.config.first, 0)",
        "(0, 1, 0)",
        AAPE,
    ),
    Mutation(
        "a-context-without-padding",
        "aape_jax/classification/baselines/context.py",
        "longest if config.causal else None",
        "longest",
        AAPE,
    ),
    Mutation(
        "pairs-that-do-not-belong-together-attract",
        "tools/pocket/train_siglip.py",
        "signs = 2 * jnp.eye(len(logits)) - 1",
        "signs = jnp.ones_like(logits)",
        "tools/pocket/test_siglip.py",
    ),
    Mutation(
        "patches-that-start-with-the-class-tokens-place",
        "tools/pocket/train_siglip.py",
        'jnp.asarray(clip.params[tower]["position_embedding"])[1:]',
        'jnp.asarray(clip.params[tower]["position_embedding"])[:-1]',
        "tools/pocket/test_siglip.py",
    ),
)


if __name__ == "__main__":
    main(MUTATIONS)
