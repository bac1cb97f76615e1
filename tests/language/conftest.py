"""The tiny models as fixtures."""

import jax
import pytest

from tests.language.tiny import CONFIGS, byte_tokenizer, random_lm


@pytest.fixture(scope="session")
def tokenizer():
    return byte_tokenizer()


@pytest.fixture(scope="session", params=CONFIGS)
def lm(request, tokenizer):
    return random_lm(CONFIGS[request.param], tokenizer)


@pytest.fixture(scope="session")
def read(lm):
    """Hidden states of embeddings."""
    apply = jax.jit(lm.model.apply)
    return lambda *arguments: apply({"params": lm.params}, *arguments)
