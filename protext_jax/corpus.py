"""Sentences about classes: reading them, and finding the class that each list is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.data.matching import require_matches
from common.data.phrases import read_phrases
from common.data.spellings import SAME_WORDS
from common.data.templates import fill
from common.errors import UserError
from common.names import readable
from common.protocols.corpus import match_texts, tell_the_same
from common.text import counted, some

Corpus = dict[str, tuple[str, ...]]
"""Sentences by class, as the file spells both."""


@dataclass(frozen=True)
class MatchedCorpus:
    """What of a corpus a run learns from.

    Attributes:
      names: Of the classes that are trained, as training spells them, in the corpus' order; a
        name may occur twice where a data set has it twice.
      groups: Sentences of each, at least one.
      unmatched: Keys that are not classes of the data set.
      undescribed: Classes of the data set without a sentence.
      duplicates: Repeated sentences by name; they are kept, as the reference does.
      overlong: Sentences by name that do not fit the text tower; they are left out.
      respelled: A line for each way in which the corpus spells classes otherwise.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    unmatched: tuple[str, ...] = ()
    undescribed: tuple[str, ...] = ()
    duplicates: Mapping[str, int] = field(default_factory=dict)
    overlong: Mapping[str, int] = field(default_factory=dict)
    respelled: tuple[str, ...] = ()

    @property
    def sentences(self) -> Corpus:
        """By name."""
        return dict(zip(self.names, self.groups, strict=True))

    def report(self) -> list[str]:
        """Return what a user should know before training, a line each."""
        total = sum(map(len, self.groups))
        told = f"{counted(total, 'sentence')} about {counted(len(self.groups), 'class')}."
        return [told, *self.remarks()]

    def remarks(self) -> list[str]:
        """Return what of the corpus or the data set is passed over or read otherwise."""
        lines = list(self.respelled)
        if self.unmatched:
            keys = _numbered(self.unmatched, "key")
            lines.append(f"{keys} in the corpus and not among the trained classes: ignored.")
        if self.undescribed:
            classes = _numbered(self.undescribed, "class")
            lines.append(f"{classes} without a sentence: not trained.")
        if self.overlong:
            lines.append(f"{_counted(self.overlong)} too long for the text tower: left out.")
        if self.duplicates:
            lines.append(f"{_counted(self.duplicates)} repeated: kept.")
        return lines


def read_corpus(path: Path | str, pattern: str) -> Corpus:
    """Read `{class: [sentence, ...]}`, gzipped where the name ends in `.gz`.

    Args:
      path: The file; where it is absent and `path.gz` is not, that one.
      pattern: How a sentence is made of what the file lists, e.g. "{name}, which has {phrase}."
        for descriptors; "{phrase}" for sentences.

    Raises:
      UserError: It is not such a file, is empty, or `pattern` has no {phrase}.
    """
    if "{phrase}" not in pattern:
        raise UserError(f"prompts.pattern={pattern!r} needs {{phrase}} for what the file lists.")
    content = read_phrases(path)

    def sentence(name: str, phrase: str) -> str:
        return fill(pattern, name=readable(name), phrase=phrase)

    return {
        name: tuple(sentence(name, phrase) for phrase in phrases if phrase.strip())
        for name, phrases in content.items()
    }


def normalised(name: str) -> str:
    """Return what counts of a class name for matching: lower case, underscores as spaces."""
    return readable(name).lower()


def match(
    corpus: Corpus, classnames: Sequence[str], lengths: Mapping[str, int], longest: int
) -> MatchedCorpus:
    """Find the data set's classes in the corpus, by name and never by position.

    Args:
      corpus: Sentences by key.
      classnames: The data set's; a name may occur twice, as two of ImageNet's do.
      lengths: Tokens of each sentence, start and end included.
      longest: The tower's positions.

    Raises:
      UserError: No class has a sentence, or two keys mean the same class.
    """
    matches = match_texts(classnames, corpus, "the corpus")
    require_matches(matches, classnames, corpus, "the corpus")
    # Training says the corpus' key, as the reference does, unless its words are others.
    spelled: dict[str, str] = {}
    for name, key in matches.keys.items():
        spelled.setdefault(key, key if matches.rules[name] in SAME_WORDS else name)
    _require_distinct(spelled, corpus)
    described = {key: corpus[key] for key in corpus if key in spelled}
    fitting = {key: tuple(x for x in described[key] if lengths[x] <= longest) for key in described}
    trained = {spelled[key]: sentences for key, sentences in fitting.items() if sentences}
    if not trained and not any(described.values()):
        raise UserError(
            f"the corpus lists no sentence about any of its {len(described)} classes, only empty "
            "lists: add sentences."
        )
    if not trained:
        shortest = min(lengths[x] for sentences in described.values() for x in sentences)
        raise UserError(
            f"every sentence of the corpus is too long: the shortest has {shortest} tokens and "
            f"the text tower {longest} positions; shorten the sentences."
        )
    return MatchedCorpus(
        names=tuple(trained),
        groups=tuple(trained.values()),
        unmatched=tuple(key for key in corpus if key not in spelled),
        undescribed=tuple(
            name
            for name in classnames
            if name not in matches.keys or not fitting[matches.keys[name]]
        ),
        duplicates=_positive({k: len(v) - len(set(v)) for k, v in trained.items()}),
        overlong=_positive({spelled[k]: len(described[k]) - len(v) for k, v in fitting.items()}),
        respelled=tuple(matches.respelled("the corpus")),
    )


def _require_distinct(spelled: Mapping[str, str], corpus: Corpus) -> None:
    by_words: dict[str, str] = {}
    for key, name in spelled.items():
        other = by_words.setdefault(normalised(name), key)
        if other != key and not tell_the_same(corpus, other, key):
            raise UserError(
                f"several keys of the corpus mean the class {normalised(name)!r}, {other!r} and "
                f"{key!r}: merge them."
            )


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _numbered(names: Sequence[str], what: str) -> str:
    return f"{counted(len(names), what)} ({some(names, show=str)})"


def _counted(counts: Mapping[str, int]) -> str:
    parts = [f"{name} {count}" for name, count in counts.items()]
    return f"{counted(sum(counts.values()), 'sentence')} ({some(parts, show=str)})"
