"""The pocket language model: a small GPT-2 that has read about the pocket world."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from common.language import LanguageModel, LMConfig
from common.language.tokenizer import LMTokenizer
from tools.pocket.documents import packed_rows, sample_document
from tools.pocket.fitting import NO_LIMIT, Allowance, fit
from tools.pocket.recipe import Fit

WIDTH = 128
POSITIONS = 256
# Four examples with a picture each, and the question, fill fewer.
ROW = 192
VOCABULARY = 768
_VOCABULARY_DOCUMENTS = 2000
_EMBEDDING_SIZE = 0.02  # standard deviation, as `LanguageModel` draws them
# Far from the documents that are trained on.
_VOCABULARY_SEED = 2**20


def lm_config(tokenizer: LMTokenizer) -> LMConfig:
    """Return a configuration of GPT-2's form with four layers."""
    return LMConfig(
        vocab_size=tokenizer.vocab_size,
        width=WIDTH,
        layers=4,
        heads=4,
        mlp_width=4 * WIDTH,
        positions=POSITIONS,
        eos=tokenizer.end,
    )


def train_tokenizer(seed: int) -> LMTokenizer:
    """Learn GPT-2's byte-level pairs from documents; case and line ends stay, unlike CLIP's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[LMTokenizer.END],
        show_progress=False,
    )
    generators = (
        np.random.default_rng((seed, _VOCABULARY_SEED, number))
        for number in range(_VOCABULARY_DOCUMENTS)
    )
    texts = (piece for generator in generators for piece in sample_document(generator))
    backend.train_from_iterator(texts, trainer)
    return LMTokenizer(backend)


def train_lm(
    tokenizer: LMTokenizer, plan: Fit, rows: int, seed: int, allowance: Allowance = NO_LIMIT
) -> dict[str, Any]:
    """Train on predicting each token from those before it, and return the parameters."""
    config = lm_config(tokenizer)
    model = LanguageModel(config)
    init_key, key = jax.random.split(jax.random.key(seed))
    data = packed_rows(rows, ROW, tokenizer, config.eos, seed)

    def logits(model: LanguageModel, ids: Int[Array, "b s"]) -> Array:
        return model.logits(model(model.embed(ids))[0])

    params = model.init(init_key, jnp.zeros((1, 1), int), method=logits)["params"]
    params["position_embedding"] = jnp.asarray(waves(config.positions, config.width))

    def loss(params: Any, batch: Int[Array, "b s"], key: Key[Array, ""]) -> Array:
        del key
        output = model.apply({"params": params}, batch[:, :-1], method=logits)
        return optax.softmax_cross_entropy_with_integer_labels(output, batch[:, 1:]).mean()

    return fit("LM", loss, params, data, plan, key, allowance)


def waves(positions: int, width: int) -> Float[np.ndarray, "positions width"]:
    """Return sines and cosines (arXiv 1706.03762, 3.5) of the size of fresh token embeddings.

    A model this small would spend most of its steps on learning which positions are neighbours.
    """
    rates = 10000.0 ** (-np.arange(0, width, 2) / width)
    angles = np.arange(positions)[:, None] * rates
    table = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    return (_EMBEDDING_SIZE * np.sqrt(2) * table).astype(np.float32)
