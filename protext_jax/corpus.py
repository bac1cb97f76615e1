"""Sentences about classes: reading them, and finding the class that each list is about."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.data.names import readable
from common.errors import UserError
from common.files import read_lists

Corpus = dict[str, tuple[str, ...]]
"""Sentences by class, as the file spells both."""


@dataclass(frozen=True)
class Matched:
    """What of a corpus a run learns from.

    Attributes:
      sentences: by the corpus' own key, every class with at least one; the order is the
        corpus'.
      unmatched: keys that are no class of the data set.
      untold: classes of the data set without a sentence.
      duplicates: repeated sentences by key; they are kept, as the reference does.
      overlong: sentences by key that do not fit the text tower; they are left out.
    """

    sentences: Corpus
    unmatched: tuple[str, ...]
    untold: tuple[str, ...]
    duplicates: Mapping[str, int]
    overlong: Mapping[str, int]

    def report(self) -> list[str]:
        """What a person should know before training, a line each."""
        total = sum(map(len, self.sentences.values()))
        lines = [f"{total} sentences about {len(self.sentences)} classes."]
        if self.unmatched:
            lines.append(f"{_named(self.unmatched)} in the corpus and no trained class: ignored.")
        if self.untold:
            lines.append(f"{_named(self.untold)} without a sentence: not trained.")
        if self.overlong:
            lines.append(f"{_counted(self.overlong)} too long for the text tower: left out.")
        if self.duplicates:
            lines.append(f"{_counted(self.duplicates)} repeated: kept.")
        return lines


def read_corpus(path: Path | str, pattern: str) -> Corpus:
    """Reads `{class: [sentence, ...]}`, gzipped where the name ends in `.gz`.

    Args:
      path: The file; where it is absent and `path.gz` is not, that one.
      pattern: How a sentence is made of what the file lists, e.g. "{name}, which has {phrase}."
        for descriptors; "{phrase}" for sentences.

    Raises:
      UserError: It is no such file, is empty, or `pattern` has no {phrase}.
    """
    if "{phrase}" not in pattern:
        raise UserError(f"pattern={pattern!r} needs {{phrase}} for what the file lists.")
    path = Path(path).expanduser()
    gzipped = path.with_name(f"{path.name}.gz")
    path = gzipped if not path.exists() and gzipped.exists() else path
    content = read_lists(path, "give {class: [sentence, ...]}")
    if not content:
        raise UserError(f"the prompts file {path} is empty: it needs {{class: [sentence, ...]}}.")

    def sentence(name: str, phrase: str) -> str:
        return pattern.replace("{name}", readable(name)).replace("{phrase}", phrase)

    return {
        name: tuple(sentence(name, phrase) for phrase in phrases if phrase.strip())
        for name, phrases in content.items()
    }


def normalised(name: str) -> str:
    """What of a class name counts for matching: lower case, underscores as spaces."""
    return readable(name).lower()


def match(
    corpus: Corpus, classnames: Sequence[str], lengths: Mapping[str, int], longest: int
) -> Matched:
    """Finds the data set's classes in the corpus, by name and never by position.

    Args:
      corpus: Sentences by key.
      classnames: The data set's; a name may occur twice, as two of ImageNet's do.
      lengths: Tokens of each sentence, start and end included.
      longest: The tower's positions.

    Raises:
      UserError: No class has a sentence, or two keys mean the same class.
    """
    wanted = {normalised(name) for name in classnames}
    twice = [name for name, count in Counter(map(normalised, corpus)).items() if count > 1]
    if twice:
        raise UserError(f"several keys of the corpus mean the class {twice[0]!r}: merge them.")
    fitting = {
        name: tuple(x for x in sentences if lengths[x] <= longest)
        for name, sentences in corpus.items()
        if normalised(name) in wanted
    }
    kept = {name: sentences for name, sentences in fitting.items() if sentences}
    if not kept:
        raise UserError(
            f"no class of the data set has a sentence: the corpus knows {_some(list(corpus))}, "
            f"the data set {_some(list(classnames))}; names match in lower case, with _ as space."
        )
    told = {normalised(name) for name in kept}
    return Matched(
        sentences=kept,
        unmatched=tuple(name for name in corpus if normalised(name) not in wanted),
        untold=tuple(name for name in classnames if normalised(name) not in told),
        duplicates=_positive({k: len(v) - len(set(v)) for k, v in kept.items()}),
        overlong=_positive({k: len(corpus[k]) - len(v) for k, v in fitting.items()}),
    )


def _positive(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _some(names: Sequence[str], limit: int = 5) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def _named(names: Sequence[str]) -> str:
    return f"{len(names)} keys ({_some(names)})" if len(names) > 1 else f"1 key ({names[0]})"


def _counted(counts: Mapping[str, int]) -> str:
    each = [f"{name} {count}" for name, count in counts.items()]
    return f"{sum(counts.values())} sentences ({_some(each)})"
