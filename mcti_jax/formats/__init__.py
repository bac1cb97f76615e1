"""Files of learned tokens: what this project writes, what other tools read and write."""

from mcti_jax.formats.read import read_tokens
from mcti_jax.formats.tokens import (
    LearnedToken,
    by_class_index,
    file_stem,
    in_class_order,
    require_usable,
    require_vectors,
    token_word,
    token_words,
    typed_words,
)
from mcti_jax.formats.write import FORMATS, Format, format_of, write_token

__all__ = [
    "FORMATS",
    "Format",
    "LearnedToken",
    "by_class_index",
    "file_stem",
    "format_of",
    "in_class_order",
    "read_tokens",
    "require_usable",
    "require_vectors",
    "token_word",
    "token_words",
    "typed_words",
    "write_token",
]
