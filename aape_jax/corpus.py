"""Reference prompts as text: sentences of each class from a file or the bundled world."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from common.data.names import readable
from common.data.phrases import read_phrases
from common.errors import UserError
from common.files import read_json

PER_TEMPLATE = 10
"""Sentences that a language model wrote for each question about a class (CuPL's recipe)."""

Sentences = tuple[tuple[str, ...], ...]
"""Of each class, in the order of the class names."""


def read_corpus(config: ConfigDict, dataset: str, classnames: Sequence[str]) -> Sentences:
    """The sentences that `config.prompts` chooses for each class.

    Args:
      config: The run's.
      dataset: The data set's string, e.g. "pocket:rare".
      classnames: As the data set spells them.

    Raises:
      UserError: a class has no sentence, or the corpus cannot be read.
    """
    kind, _, where = config.prompts.source.partition(":")
    if kind not in CORPORA:
        raise UserError(
            f"prompts.source={config.prompts.source!r} is unknown; write pocket, json:FILE, "
            "features:FILE.npz or none."
        )
    by_name = CORPORA[kind](where, dataset)
    aliases = _aliases(config.prompts.aliases)
    chosen = []
    for label, name in enumerate(classnames):
        sentences = _of_class(by_name, aliases.get(name, name))
        if not sentences:
            raise UserError(
                f"the class {name!r} has no sentence in {config.prompts.source}: add some, or "
                "name its key in the file of prompts.aliases."
            )
        seed = (config.prompts.seed, label)
        chosen.append(choose(sentences, config.prompts.per_template, seed))
    return tuple(chosen)


def choose(sentences: Sequence[str], per_template: int, seed: Sequence[int]) -> tuple[str, ...]:
    """Draws `per_template` of each ten sentences, in their order."""
    if not 1 <= per_template <= PER_TEMPLATE:
        raise UserError(
            f"prompts.per_template={per_template} is out of range: give 1 to {PER_TEMPLATE}."
        )
    generator = np.random.default_rng(tuple(seed))
    kept: list[str] = []
    for start in range(0, len(sentences), PER_TEMPLATE):
        group = sentences[start : start + PER_TEMPLATE]
        order = generator.permutation(len(group))[:per_template]
        kept += [group[i] for i in sorted(order)]
    return tuple(kept)


def _pocket(where: str, dataset: str) -> Mapping[str, Sequence[str]]:
    from common.pocket.datasets import pocket_descriptions

    kind, _, name = dataset.partition(":")
    if not where and kind != "pocket":
        raise UserError(
            f"prompts.source=pocket describes the bundled sets only, not {dataset!r}: give "
            "prompts.source=json:FILE with sentences of your classes."
        )
    return pocket_descriptions(where or name)


def _json(where: str, dataset: str) -> Mapping[str, Sequence[str]]:
    del dataset
    return read_phrases(where)


CORPORA: dict[str, Callable[[str, str], Mapping[str, Sequence[str]]]] = {
    "pocket": _pocket,
    "json": _json,
}


def _aliases(path: str) -> Mapping[str, str]:
    remedy = "give {class name: key of the corpus}"
    return read_json(Path(path).expanduser(), remedy) if path else {}


def _of_class(by_name: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    """The sentences under the name itself, or under another spelling of the same words."""
    if name in by_name:
        return by_name[name]
    spelt = {readable(key).casefold(): key for key in by_name}
    key = spelt.get(readable(name).casefold())
    return by_name[key] if key is not None else ()
