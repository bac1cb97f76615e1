"""Docstrings begin with an imperative, and what they list with a capital."""

import ast
import re
from pathlib import Path

import pytest

from common.packages import PACKAGES

ROOT = Path(__file__).parents[1]
FOLDERS = (*PACKAGES, "tools", "configs", "benchmarks")
DETERMINERS = {"a", "an", "the", "one", "each", "every", "its", "our", "their"}
QUESTIONS = {"how", "what", "where", "whether"}
NOT_VERBS = {*DETERMINERS, *QUESTIONS, "as", "of"}
SECTIONS = ("Attributes:", "Args:", "Raises:")
ENTRY = re.compile(r"[*\w][*\w., ]*: ([a-z][\w-]*)")
NAMES = {"bfloat16", "libtpu", "tensorflow-datasets"}  # These have small letters.
# They become headings of tables in the documentation.
HEADINGS = {("configs/aape.py", "aggregator"), ("configs/aape.py", "loss")}


def first_words(source):
    """Yield the name of each function with a docstring, and the docstring's first word."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        decorators = map(ast.unparse, node.decorator_list)
        if any(decorator.endswith("property") for decorator in decorators):
            continue
        if text := ast.get_docstring(node):
            yield node.name, text.split()[0].rstrip(".,:;")


def is_imperative(word):
    """Return whether a word may be an imperative: not "The", "Returns" or "`count`"."""
    may_be_verb = word[0].isupper() and word.lower() not in NOT_VERBS
    return may_be_verb and (not word.endswith("s") or word.endswith("ss"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_of_functions_begin_with_an_imperative(folder):
    others = {
        (str(file.relative_to(ROOT)), name): word
        for file in sorted((ROOT / folder).rglob("*.py"))
        for name, word in first_words(file.read_text("utf-8"))
        if not is_imperative(word)
    }
    assert others.keys() - HEADINGS == set(), others


def test_what_is_an_imperative():
    source = (
        "def f():\n    '''Return it.'''\n"
        "class A:\n    '''The A.'''\n"
        "    @functools.cached_property\n    def g(self):\n        '''The value.'''\n"
        "    def h(self):\n        '''Returns, unless it fails, a value.'''\n"
        "    def i(self): ...\n"
    )
    assert set(first_words(source)) == {("f", "Return"), ("h", "Returns")}
    assert all(map(is_imperative, ("Return", "Pass", "Name")))
    assert not any(map(is_imperative, ("Returns", "The", "What", "Whether", "Of", "`count`")))


def small_entries(text):
    """Yield the lines of a docstring's sections whose explanation begins with a small letter."""
    for section in re.split(r"\n\n", text):
        heading, *lines = section.split("\n")
        if heading.strip() not in SECTIONS or not lines:
            continue
        indent = re.match(r" *", lines[0])[0]
        for line in lines:
            found = re.fullmatch(rf"{indent}{ENTRY.pattern}.*", line)
            # A symbol of the papers is no word: "samples: m."
            if found and found[1] not in NAMES and (found[1] == "a" or len(found[1]) > 1):
                yield line


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_docstrings_list_begins_with_a_capital(folder):
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    small = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, documented)
        for line in small_entries(ast.get_docstring(node) or "")
    ]
    assert not small, small


def test_what_is_a_small_entry():
    text = "Return it.\n\nArgs:\n  a: what.\n    it: not this.\n  b, c: Of it.\n  d: s, a scale."
    assert [*small_entries(text)] == ["  a: what."]
