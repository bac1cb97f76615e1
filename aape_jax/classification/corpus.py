"""Reference prompts as text: sentences of each class from a file or the bundled world."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from ml_collections import ConfigDict

from common.choices import check_choice
from common.data.matching import match_names, require_matches
from common.data.phrases import read_phrases
from common.errors import UserError
from common.files import read_json
from common.progress import say
from common.protocols.corpus import match_texts
from common.protocols.table import POCKET
from common.text import some

PER_TEMPLATE = 10
"""Sentences that a language model wrote for each question about a class (CuPL's recipe)."""

Sentences = tuple[tuple[str, ...], ...]
"""Of each class, in the order of the class names."""


def read_corpus(
    config: ConfigDict,
    dataset: str,
    classnames: Sequence[str],
    learned: Int[np.ndarray, "learned"] | None = None,
) -> Sentences:
    """Return the sentences that `config.prompts` chooses for each class.

    Args:
      config: The run's.
      dataset: The data set's string, e.g. "pocket:rare".
      classnames: As the data set spells them.
      learned: Numbers of the classes that cannot do without; None for all.

    Raises:
      UserError: Such a class has no sentence, or the corpus cannot be read.
    """
    by_name = _opened(config, dataset)
    keys = _keys(config, classnames, by_name)
    chosen = []
    for label, name in enumerate(classnames):
        sentences = _sentences(by_name, keys, name)
        if not sentences and (learned is None or label in learned):
            empty = " but an empty list" if name in keys else ""
            raise UserError(
                f"the class {name!r} has no sentence{empty} in {config.prompts.source}: add some, "
                "or name its key in the file of prompts.aliases."
            )
        seed = (config.prompts.seed, label)
        chosen.append(choose(sentences, config.prompts.per_template, seed))
    return tuple(chosen)


def known_sentences(
    config: ConfigDict, dataset: str, classnames: Sequence[str], numbered: Sequence[str] = ()
) -> Sentences:
    """Return the corpus's sentences about classes that can do without; some may have none.

    Args:
      config: The run's.
      dataset: The data set's string.
      classnames: Any classes.
      numbered: The classes of the run's own data set, for which the same sentences are drawn.

    Raises:
      UserError: The corpus cannot be read, or two of its keys mean one class.
    """
    source = config.prompts.source
    # The bundled sentences are about bundled sets alone; elsewhere, the run's own classes have its.
    bundled = source != "pocket" or dataset.startswith(POCKET)
    by_name = _opened(config, dataset if bundled else config.data)
    aliased = _aliased(config.prompts.aliases, classnames, by_name, strangers=True)
    unaliased = [name for name in classnames if name not in aliased]
    keys = {**match_texts(unaliased, by_name, source).keys, **aliased}
    labels = {name: label for label, name in enumerate(numbered)}
    run_class = match_names(classnames, labels, "the classes of data").keys
    chosen = []
    for name in classnames:
        # A class without a number draws by its name, whatever stands beside it.
        number = labels.get(run_class.get(name), zlib.crc32(name.encode()))
        sentences = _sentences(by_name, keys, name)
        chosen.append(choose(sentences, config.prompts.per_template, (config.prompts.seed, number)))
    return tuple(chosen)


def _sentences(
    by_name: Mapping[str, Sequence[str]], keys: Mapping[str, str], name: str
) -> list[str]:
    return [x for x in by_name[keys[name]] if x.strip()] if name in keys else []


def _opened(config: ConfigDict, dataset: str) -> Mapping[str, Sequence[str]]:
    kind, _, where = config.prompts.source.partition(":")
    if kind not in CORPORA:
        known = ("pocket", "json:FILE", "features:FILE.npz", "none")
        check_choice("prompts.source", config.prompts.source, known)
    return CORPORA[kind](where, dataset)


def choose(sentences: Sequence[str], per_template: int, seed: Sequence[int]) -> tuple[str, ...]:
    """Draw `per_template` of each ten sentences, in their order."""
    if not 1 <= per_template <= PER_TEMPLATE:
        raise UserError(
            f"prompts.per_template={per_template} is out of range: give 1 to {PER_TEMPLATE}."
        )
    generator = np.random.default_rng(tuple(seed))
    drawn: list[str] = []
    for start in range(0, len(sentences), PER_TEMPLATE):
        group = sentences[start : start + PER_TEMPLATE]
        order = generator.permutation(len(group))[:per_template]
        drawn += [group[i] for i in sorted(order)]
    return tuple(drawn)


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


def _keys(
    config: ConfigDict, classnames: Sequence[str], by_name: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return the key of each class that has one: by its alias, or else by the names.

    Raises:
      UserError: No class has one, two keys mean one class, or an alias fits nothing.
    """
    source = config.prompts.source
    aliased = _aliased(config.prompts.aliases, classnames, by_name)
    unaliased = [name for name in classnames if name not in aliased]
    matches = match_texts(unaliased, by_name, source)
    if unaliased and not aliased:
        require_matches(matches, classnames, by_name, source)
    for line in matches.respelled(source):
        say(line)
    return {**matches.keys, **aliased}


def _aliased(
    file: str,
    classnames: Sequence[str],
    by_name: Mapping[str, Sequence[str]],
    strangers: bool = False,
) -> dict[str, str]:
    """Return the keys of classes that the file of aliases names.

    Raises:
      UserError: It fits none of the classes, which may not be strangers to it, or names a key that
        the corpus has not.
    """
    if not file:
        return {}
    source = f"prompts.aliases={file}"
    aliases = read_json(Path(file).expanduser(), "give {class name: key of the corpus}")
    if not_texts := [name for name, key in aliases.items() if not isinstance(key, str)]:
        raise UserError(f"{source} has no text at {not_texts[0]!r}: give {{class name: key}}.")
    of_class = match_texts(classnames, aliases, source)
    if aliases and not strangers:
        require_matches(of_class, classnames, aliases, source)
    key_of = {name: aliases[alias] for name, alias in of_class.keys.items()}
    keys = match_names(key_of.values(), by_name, source)
    if keys.unmatched:
        raise UserError(
            f"{source} names {some(keys.unmatched)}, which the corpus does not have: it has "
            f"{some(by_name)}."
        )
    if of_class.unused and not strangers:
        say(f"{source}: {some(of_class.unused)} fit no class.")
    return {name: keys.keys[key] for name, key in key_of.items()}
