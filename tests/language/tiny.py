"""Tiny language models of both kinds, and a tokenizer of bytes and a few merges."""

import dataclasses

import jax
import numpy as np

from common.language import LM, LMConfig
from common.language.checkpoint import abstract_lm
from common.language.tokenizer import LMTokenizer
from common.weights.fingerprint import fingerprint

GPT2 = LMConfig(vocab_size=300, width=24, layers=2, heads=3, mlp_width=40, positions=20, eos=7)
GPTJ = dataclasses.replace(GPT2, rotary=4, parallel=True, attention_bias=False, tied=False)
CONFIGS = {"gpt2": GPT2, "gptj": GPTJ}


def random_lm(config, tokenizer, size=0.3):
    rng = np.random.default_rng(0)

    def weights(path, leaf):
        around_one = str(path[-1].key) == "scale"
        return rng.normal(around_one, size, leaf.shape).astype(np.float32)

    params = jax.tree.map_with_path(weights, abstract_lm(config))
    return LM(config, params, tokenizer, fingerprint(params, repr(config)))


def byte_tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(["a photo of a cat", "a photo of two dogs"], trainer)
    return LMTokenizer(backend)
