"""What trained runs hand on: tokens, heads and prompts."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz_readers.reader import Reader


def _make_tokens(folder: Path) -> None:
    from mcti_jax.formats.tokens import LearnedToken
    from mcti_jax.formats.write import FORMATS, write_token

    facts = {"class": "dog", "class_index": "0", "base_model": "pocket"}
    token = LearnedToken("<dog>", np.ones((2, 8), np.float32), facts)
    for name in FORMATS:
        write_token(folder / name, token, name)


def _tokens(folder: Path) -> Any:
    from mcti_jax.formats.read import read_tokens

    return [read_tokens(file) for file in sorted(folder.rglob("*")) if file.is_file()]


def _make_heads(folder: Path) -> None:
    from aape_jax.core.heads_file import write_head

    write_head(folder / "head.safetensors", {"dense": {"kernel": np.ones((3, 4), np.float32)}})


def _heads(folder: Path) -> Any:
    from aape_jax.core.heads_file import read_head

    return read_head(folder / "head.safetensors")


def _make_prompts(folder: Path) -> None:
    from protext_jax.files import write_prompts
    from protext_jax.learned import FORMAT, LearnedPrompts

    facts = {"format": FORMAT, "fingerprint": "0" * 16, "base_model": "pocket", "seed": "1"}
    prompts = LearnedPrompts({"prompts": np.ones((1, 2, 3), np.float32)}, facts)
    write_prompts(folder / "prompts.safetensors", prompts)


def _prompts(folder: Path) -> Any:
    from protext_jax.files import read_prompts

    return read_prompts(folder / "prompts.safetensors")


READERS = {
    "tokens": Reader(_make_tokens, _tokens),
    "heads": Reader(_make_heads, _heads),
    "prompts": Reader(_make_prompts, _prompts),
}
