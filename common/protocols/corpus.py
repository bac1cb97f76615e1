"""Texts by class, such as the sentences of a language model, and which class each list is about."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from common.data.matching import Matches, match_names


def match_texts(classnames: Iterable[str], texts: Mapping[str, Any], source: str) -> Matches:
    """Find the key of each class by name, never by position.

    Args:
      classnames: As the data set spells them.
      texts: What is told of each key.
      source: What a sentence calls them.

    Raises:
      UserError: Two keys that do not tell the same mean one class, or one key two classes.
    """
    return match_names(classnames, texts, source, partial(tell_the_same, texts))


def tell_the_same(texts: Mapping[str, Any], one: str, other: str) -> bool:
    """Return whether two keys tell the same, so that either will do."""
    return texts[one] == texts[other]
