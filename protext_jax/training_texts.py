"""What a run learns from: the sentences, the classes they are about, and their templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ml_collections import ConfigDict

from common.choices import check_choice
from common.clip.tokenizer import Tokenizer
from common.data import OpenedDataset
from common.data.selection import far_apart
from common.errors import UserError
from common.latest import Latest
from common.names import readable
from common.pocket.datasets import SETS, pocket_descriptions
from common.protocols.class_parts import dataset_parts
from common.protocols.table import POCKET
from common.text import counted
from protext_jax.classnames import open_named
from protext_jax.corpus import Corpus, MatchedCorpus, match, read_corpus
from protext_jax.options import BY_TEXT, NO_IMAGES, PLENTY, SOURCES, held_out_of, prompts_file
from protext_jax.prompts import FILLER, ClassTexts, overwritten, tokenise, training_template
from protext_jax.templates import PLAIN

_LENGTHS = Latest()
"""Tokens of each sentence: ImageNet's take ten seconds to count, and are asked for twice."""


@dataclass(frozen=True)
class TrainingTexts:
    """The text side of a run.

    Attributes:
      dataset: What to measure on; None where only text is at hand.
      parts: Of the data set, by the prefix of their metrics, the trained classes first.
      names: Keys of the trained classes, k.
      matched: How the corpus fits the data set.
      sentences: Of all pairs that are learned from, `[b]`; `label` is their class.
      held_out: Sentences of `held_label` that are not learned from, nor any copy of them.
      held_names: Keys of classes of which nothing is learned; in `held_label` they come behind
        the trained classes.
      templates: The tokenised templates of the trained classes.
    """

    dataset: OpenedDataset | None
    parts: Mapping[str, OpenedDataset]
    names: tuple[str, ...]
    matched: MatchedCorpus
    sentences: tuple[str, ...]
    label: np.ndarray
    held_out: tuple[str, ...]
    held_label: np.ndarray
    held_names: tuple[str, ...]
    templates: ClassTexts

    @property
    def classnames(self) -> tuple[str, ...]:
        """All classes with sentences, those that nothing is learned of last."""
        return (*self.names, *self.held_names)

    @property
    def pairs(self) -> int:
        """b of the whole corpus."""
        return len(self.sentences)


def open_corpus(config: ConfigDict, classnames: Sequence[str]) -> Corpus:
    """Return the sentences that the config names.

    Raises:
      UserError: There are none.
    """
    kind = config.prompts.kind
    if kind in SOURCES:
        return {name: templates_of(kind, name) for name in classnames}
    check_choice("prompts.kind", kind, ("sentences", *SOURCES))
    if file := prompts_file(config):
        return read_corpus(file, config.prompts.pattern)
    check_choice("prompts.source", config.prompts.source, ("pocket", "json:FILE"))
    name = config.data.removeprefix(POCKET)
    if config.data.startswith(POCKET) and name in SETS:
        return pocket_descriptions(name)
    raise UserError(
        f"data={config.data!r} comes without sentences: give prompts.source=FILE.json, "
        "{class: [sentence, ...]}."
    )


def templates_of(source: str, name: str) -> tuple[str, ...]:
    """Fill a source's templates with a class's name, but for the first, which the prompts use."""
    templates = [x for x in SOURCES[source] if x != PLAIN]
    return tuple(x.replace("{}", readable(name)) for x in templates)


def training_name(config: ConfigDict, key: str) -> str:
    """Return how the template spells a class; see `faithful.underscores` in the config."""
    # The reference keeps them in keys of its files alone.
    raw = config.prompts.kind == "sentences" and config.faithful.underscores
    raw = raw and training_template(config).startswith(FILLER)
    return key if raw else readable(key)


def gather_texts(config: ConfigDict, tokenizer: Tokenizer) -> TrainingTexts:
    """Read, match and tokenise the texts, in seconds and on the host.

    Raises:
      UserError: The config or the files are not in order.
    """
    dataset, parts = None, {}
    if config.data != NO_IMAGES:
        dataset = open_named(config.data, config.holdout, config.names)
        parts = dataset_parts(dataset, config.protocol)
    classnames = next((part.classnames for part in parts.values()), ())
    matched = _match(config, classnames, tokenizer)

    learned, held_out = [], []
    numbers, apart = _parted(config, len(matched.names))
    for label, number in enumerate(numbers):
        group = matched.groups[number]
        cut = len(group) - held_out_of(config, len(group))
        learned += [(label, sentence) for sentence in group[:cut]]
        # A copy of what is learned from would tell of learning alone.
        known = set(group[:cut])
        held_out += [(label, sentence) for sentence in group[cut:] if sentence not in known]
    for label, number in enumerate(apart, len(numbers)):
        held_out += [(label, sentence) for sentence in matched.groups[number]]
    _require_held_out(config, len(held_out))
    names, held_names = (tuple(matched.names[n] for n in part) for part in (numbers, apart))
    spelled = [training_name(config, name) for name in names]
    return TrainingTexts(
        dataset=dataset,
        parts=parts,
        names=names,
        matched=matched,
        sentences=tuple(sentence for _, sentence in learned),
        label=np.array([label for label, _ in learned], np.int32),
        held_out=tuple(sentence for _, sentence in held_out),
        held_label=np.array([label for label, _ in held_out], np.int32),
        held_names=held_names,
        templates=tokenise(tokenizer, training_template(config), spelled, overwritten(config)),
    )


def _parted(config: ConfigDict, count: int) -> tuple[list[int], list[int]]:
    """Return the numbers of the classes that are learned, and of those held out, far apart."""
    wanted = config.held_out_classes
    if wanted and wanted > count - 2:
        raise UserError(
            f"held_out_classes={wanted} leaves fewer than two of {counted(count, 'class')} to "
            f"learn: give at most {max(count - 2, 0)}."
        )
    apart = far_apart(wanted, count)
    return [n for n in range(count) if n not in apart], apart


def _require_held_out(config: ConfigDict, sentences: int) -> None:
    """Refuse what goes by held-out sentences where there are none."""
    wanting = [f"early_stop={config.early_stop}"] if config.early_stop else []
    wanting += [f"blend={config.blend:g}"] if config.blend == BY_TEXT else []
    if wanting and not sentences:
        raise UserError(
            f"{wanting[0]} goes by held-out sentences, but no class has {PLENTY}, of which some "
            "would be held out: give held_out=1 or more."
        )


def _match(config: ConfigDict, classnames: Sequence[str], tokenizer: Tokenizer) -> MatchedCorpus:
    """Return what is learned from, without what is too long for the tower."""
    if config.prompts.kind in SOURCES:
        return _filled(config, classnames, tokenizer)
    corpus = open_corpus(config, classnames)
    sentences = tuple(dict.fromkeys(x for group in corpus.values() for x in group))

    def count() -> dict[str, int]:
        lengths = [len(ids) + tokenizer.specials for ids in tokenizer.encode_all(sentences)]
        return dict(zip(sentences, lengths, strict=True))

    lengths = _LENGTHS.get((tokenizer.fingerprint, sentences), count)
    return match(corpus, classnames or tuple(corpus), lengths, tokenizer.length)


def _filled(config: ConfigDict, classnames: Sequence[str], tokenizer: Tokenizer) -> MatchedCorpus:
    """Fill templates with every class's name, by label: two classes may share a name."""
    if not classnames:
        raise UserError(
            f"prompts.kind={config.prompts.kind!r} is about the classes of data: give data=DATASET."
        )
    groups = [templates_of(config.prompts.kind, name) for name in classnames]
    longest = max(len(ids) for group in groups for ids in tokenizer.encode_all(group))
    longest += tokenizer.specials
    if longest > tokenizer.length:
        raise UserError(
            f"a template of prompts.kind={config.prompts.kind!r} is {longest} tokens with its "
            f"class name, but the text tower has {tokenizer.length} positions: shorten the names "
            "with names=FILE."
        )
    return MatchedCorpus(tuple(classnames), tuple(groups))
