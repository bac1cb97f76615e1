"""What a run learned, written to a bucket and read back by every method."""

import numpy as np
import pytest

from aape_jax.core.heads_file import read_head, write_head
from common.errors import UserError
from mcti_jax.formats.read import read_tokens
from mcti_jax.formats.tokens import LearnedToken
from mcti_jax.formats.write import FORMATS, write_token
from protext_jax.files import read_prompts, write_prompts
from protext_jax.learned import FORMAT, LearnedPrompts


@pytest.mark.parametrize("format", FORMATS)
def test_tokens(storage, format):
    folder = storage / f"tokens-{format}"
    vectors = np.arange(8, dtype=np.float32)[None]
    path = write_token(folder, LearnedToken("<dog>", vectors, {}), format)
    assert str(path).startswith("gs://mine/tokens-") and path.exists()
    (token,) = read_tokens(folder)
    np.testing.assert_array_equal(token.vectors, vectors)


def test_prompts(storage):
    learned = LearnedPrompts({"prompts": np.ones((1, 2, 3), np.float32)}, {"format": FORMAT})
    write_prompts(storage / "prompts.safetensors", learned)
    read = read_prompts(storage / "prompts.safetensors")
    np.testing.assert_array_equal(read.arrays["prompts"], learned.arrays["prompts"])
    with pytest.raises(UserError, match="no learned prompts at gs"):
        read_prompts(storage / "other.safetensors")


def test_heads(storage):
    params = {"generator": {"w": np.ones((2, 3), np.float32)}}
    write_head(storage / "head.safetensors", params)
    read = read_head(storage / "head.safetensors")
    np.testing.assert_array_equal(read["generator"]["w"], params["generator"]["w"])
    with pytest.raises(UserError, match="is missing: its folder has those of 'head'"):
        read_head(storage / "other.safetensors")
