"""Search for learned words in the text of a prompt."""

import functools
import itertools
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from common.errors import UserError
from common.progress import say
from common.text import quoted, some

BRACKETED = re.compile(r"<([^<>\s]+)>")
_SHOWN = 20  # words of a message


@dataclass(frozen=True)
class WordMatch:
    """A learned word in a text: `text[start:end]` stands for `word`."""

    start: int
    end: int
    word: str


def word_stem(word: str) -> str:
    """Return a word's letters and digits in lower case, all else "-": `<My_Dog>` -> "my-dog"."""
    text = unicodedata.normalize("NFKC", word).lower()
    return "-".join("".join(x if x.isalnum() else " " for x in text).split())


def find_words(text: str, words: Collection[str], others: Collection[str] = ()) -> list[WordMatch]:
    """Return where `text` holds learned words, in order and without overlap.

    In brackets each word is found: `<dog2>`, and `<bad-hands-5>` for the word `bad-hands-5`. A
    word that itself has no brackets is also found without them, though never inside of another
    word; of two that begin at one place the longer one counts. Case and compatible forms of
    letters (NFKC) make no difference, and in brackets punctuation makes none either, as in the
    names of classes.

    Args:
      text: A prompt.
      words: What was learned, e.g. `<dog2>` and `bad-hands-5`.
      others: Words in brackets that stay as they are, such as a tokenizer's own; of one that was
        learned as well, what was learned counts.

    Raises:
      UserError: A word in brackets is not among `words`, or may be either of two.
    """
    normal, origin = _normal(text)
    matches, end = [], 0
    # A word of several tokens that a prompt spells out, `<cat> <cat>_1`, is read as it stands.
    words = [word for word in words if f"{word}_1" not in others or f"{word}_1" not in text]
    bare = _bare_words(tuple(words))
    for match in BRACKETED.finditer(normal):
        matches += bare(normal, end, match.start())
        end = match.end()
        typed = text[origin[match.start()] : origin[end]]
        if typed in words or typed not in others:
            matches.append(WordMatch(match.start(), end, _lookup(typed, words)))
    matches += bare(normal, end, len(normal))
    return [WordMatch(origin[match.start], origin[match.end], match.word) for match in matches]


@functools.lru_cache(maxsize=8)  # Many prompts are read with the same words.
def _bare_words(words: tuple[str, ...]) -> Callable[[str, int, int], Iterator[WordMatch]]:
    """Return a function that finds words without brackets between two places of a text."""
    named = {_normal(word)[0]: word for word in words if not BRACKETED.fullmatch(word)}
    longest_first = "|".join(map(re.escape, sorted(named, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w-])(?:{longest_first})(?![\w-])") if named else None

    def find(normal: str, start: int, end: int) -> Iterator[WordMatch]:
        for match in pattern.finditer(normal, start, end) if pattern else ():
            yield WordMatch(match.start(), match.end(), named[match.group()])

    return find


def _lookup(typed: str, words: Collection[str]) -> str:
    """Return the word that a text in brackets means, by the strictest fitting reading."""
    for form in (str, word_key, word_stem):
        fitting = [word for word in words if form(word) == form(typed)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UserError(
                f"{typed} may be {' or '.join(sorted(fitting))}: write the one that is meant."
            )
    known = sorted(words)
    listed = some(known, _SHOWN, str, none="none")
    raise UserError(f"{typed} was not learned; the words are {listed}.")


def words_of_several(added: Collection[str]) -> dict[str, list[str]]:
    """Return the tokens of those added words that have several: `<cat>`, `<cat>_1`, `<cat>_2`.

    diffusers adds words of several vectors so to a tokenizer, and its pipelines read the first
    token as all of them.
    """
    several = {}
    for word in added:
        further = (f"{word}_{number}" for number in itertools.count(1))
        if f"{word}_1" in added:
            several[word] = [word, *itertools.takewhile(added.__contains__, further)]
    return several


def tell_unbracketed(texts: Iterable[str], words: Collection[str]) -> None:
    """Say which learned words stand in texts without their brackets, as plain text.

    Args:
      texts: Prompts.
      words: What was learned; those without brackets are found as they are.
    """
    bare = {word_stem(word) for word in words if not BRACKETED.fullmatch(word)}
    stems = {stem: word for word in words if (stem := word_stem(word)) not in bare}
    for text in dict.fromkeys(texts):
        in_brackets = {word_stem(match) for match in BRACKETED.findall(text)}
        plain = f"-{word_stem(BRACKETED.sub(' ', text))}-"
        held = [x for stem, x in stems.items() if f"-{stem}-" in plain and stem not in in_brackets]
        if held:
            named = some(held, show=str)
            say(f"{quoted(text)} is drawn without {named}, which it names without brackets.")


def tell_unread(
    prompts: Iterable[str], negative: str, words: Collection[str], guidance: float
) -> None:
    """Say what was given and is not drawn with: a negative prompt, or learned words.

    Args:
      prompts: What is drawn.
      negative: What to steer away from; without guidance it is not read.
      words: What was learned.
      guidance: 1 or less is none.
    """
    if negative and guidance <= 1:
        say(f"negative={quoted(negative)} is not read with guidance={guidance:g}, which is none.")
    tell_unbracketed((*prompts, negative), words)


def word_key(word: str) -> str:
    """Return a word's key, equal for words that prompts cannot distinguish: `<Dog>` -> "dog"."""
    normal = _normal(word)[0]
    match = BRACKETED.fullmatch(normal)
    return match[1] if match else normal


def _normal(text: str) -> tuple[str, list[int]]:
    """Return `text` in lower case and NFKC, and each letter's place in `text`."""
    letters, origin = [], []
    for start, cluster in _clusters(text):
        normal = unicodedata.normalize("NFKC", cluster).lower()
        letters.append(normal)
        origin += [start] * len(normal)
    return "".join(letters), [*origin, len(text)]


def _clusters(text: str) -> Iterator[tuple[int, str]]:
    """Yield letters with the accents and Hangul parts after them, which may become one letter."""
    start = 0
    for place, letter in enumerate(text):
        joins = unicodedata.combining(letter) or "\u1160" <= letter <= "\u11ff"
        if place and not joins:
            yield start, text[start:place]
            start = place
    if text:
        yield start, text[start:]
