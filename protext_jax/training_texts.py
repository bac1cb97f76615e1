"""What a run learns from: the sentences, the classes they are about, and their templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from common.checks import Range, Unread, check_choices, check_ranges, check_unread
from common.choices import check_choice
from common.clip.tokenizer import Tokenizer
from common.config import changed
from common.data import OpenedDataset
from common.data.names import readable
from common.data.selection import far_apart
from common.data.templates import TEMPLATES
from common.errors import UserError
from common.latest import Latest
from common.pocket.datasets import SETS, pocket_descriptions
from common.protocols.class_parts import dataset_parts
from common.protocols.table import AUTO, POCKET, PROTOCOLS, usual_protocol
from common.text import counted
from configs.protext import defaults
from protext_jax.classnames import open_named
from protext_jax.corpus import Corpus, MatchedCorpus, match, read_corpus
from protext_jax.prompts import FILLER, ClassTexts, overwritten, tokenise, training_template
from protext_jax.templates import ATTRIBUTES, PLAIN

NO_IMAGES = "none"
POCKET_HELD_OUT, PLENTY = 2, 10
"""Sentences per class that are held out, and how many a class must have, where the config does not
say: a few sentences of one's own are all learned from."""

RANGES = {
    **{name: Range(1) for name in ("length", "depth", "batch", "epochs")},
    **{"held_out": Range(-1), "early_stop": Range(0), "early_stop_gain": Range(0)},
    **{"held_out_classes": Range(0), "blend": Range(-1, 1)},
}

BY_TEXT = -1
"""The value of `blend` that leaves it to held-out sentences."""

_LENGTHS = Latest()
"""Tokens of each sentence: ImageNet's take ten seconds to count, and are asked for twice."""

SOURCES = {"templates": TEMPLATES["imagenet"], "attributes": ATTRIBUTES}
"""Sources of targets that need no language model: the class name in many templates."""

UNREAD = (
    Unread("prompts.kind", tuple(SOURCES), ("prompts.pattern",), "prompts.kind=sentences"),
    Unread("prompts.source", ("pocket",), ("prompts.pattern",), "prompts.source=FILE.json"),
    Unread("sweep", (False,), ("grid.learning_rate", "grid.epochs", "grid.seed"), "sweep=true"),
    Unread("early_stop", (0,), ("early_stop_gain",), "early_stop above 0"),
)
"""Fields that only some runs have."""


@dataclass(frozen=True)
class TrainingTexts:
    """The text side of a run.

    Attributes:
      dataset: What to measure on; None where only text is at hand.
      parts: Of the data set, by the prefix of their metrics, the trained classes first.
      names: Keys of the trained classes, k.
      matched: How the corpus fits the data set.
      sentences: Of all pairs that are learned from, `[b]`; `label` is their class.
      held_out: Sentences of `held_label` that are not learned from.
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


def with_data(config: ConfigDict) -> ConfigDict:
    """Fill in what is "auto": a file of prompts is enough, and one's own data are all used."""
    fields: dict[str, Any] = {}
    if config.data == AUTO:
        fields["data"] = NO_IMAGES if _file(config) else "pocket:rare"
    data = fields.get("data", config.data)
    pocket = data.startswith(POCKET)
    if tuple(config.targets) == (AUTO,):
        fields["targets"] = ("pocket:second", "pocket:rare_sketch") if pocket else ()
    if config.protocol == AUTO:
        fields["protocol"] = usual_protocol(data, config.recipe)
    if config.held_out == -1 and pocket and not _file(config):
        fields["held_out"] = POCKET_HELD_OUT
    return changed(config, fields)


def open_corpus(config: ConfigDict, classnames: Sequence[str]) -> Corpus:
    """Return the sentences that the config names.

    Raises:
      UserError: There are none.
    """
    kind = config.prompts.kind
    if kind in SOURCES:
        return {name: templates_of(kind, name) for name in classnames}
    check_choice("prompts.kind", kind, ("sentences", *SOURCES))
    if file := _file(config):
        return read_corpus(file, config.prompts.pattern)
    check_choice("prompts.source", config.prompts.source, ("pocket", "json:FILE"))
    name = config.data.removeprefix(POCKET)
    if config.data.startswith(POCKET) and name in SETS:
        return pocket_descriptions(name)
    raise UserError(
        f"data={config.data!r} comes without sentences: give prompts.source=FILE.json, "
        "{class: [sentence, ...]}."
    )


def _file(config: ConfigDict) -> str:
    """Return the JSON file of the prompts; "" for the pocket world's."""
    kind, _, file = config.prompts.source.partition(":")
    return file if kind == "json" else ""


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
        held_out += [(label, sentence) for sentence in group[cut:]]
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


def held_out_of(config: ConfigDict, sentences: int) -> int:
    """Return how many of a class's sentences are held out; one is always learned from."""
    count = config.held_out
    if count == -1:
        count = POCKET_HELD_OUT if sentences >= PLENTY else 0
    return min(count, sentences - 1)


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


def check_options(config: ConfigDict) -> None:
    """Refuse options that do not fit, before time is spent.

    Raises:
      UserError: It names the option.
    """
    check_ranges(config, RANGES)
    check_choices(config, {"protocol": PROTOCOLS})
    check_unread(config, defaults(), UNREAD)
    if config.early_stop and (config.sweep or not config.eval_every or not config.held_out):
        raise UserError(
            f"early_stop={config.early_stop} goes by evaluations of one run on held-out sentences: "
            "give eval_every and held_out above 0, and no sweep."
        )
    if BY_TEXT < config.blend < 0:
        raise UserError(
            f"blend={config.blend:g} is out of range: give a share from 0 to 1, or {BY_TEXT} to "
            "leave it to held-out sentences."
        )
    if config.faithful.half and config.fast:
        raise UserError(
            "faithful.half=True rounds the gradient of every pair by itself, which the shared "
            "work of fast=True does not have: say fast=False, too."
        )
