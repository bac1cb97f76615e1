"""The notebooks as tests read them."""

import ast
import re
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
COLAB = ROOT / "colab"
METHODS = ("mcti", "protext", "aape")
NAMES = (*METHODS, "tpu_pod")

# IPython's own lines: "!command" and "%magic", indented or not.
_MAGIC = re.compile(r"^(\s*)[!%].*$", re.MULTILINE)


def read(name: str) -> nbformat.NotebookNode:
    """A notebook, checked against the format."""
    book = nbformat.read(COLAB / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)
    nbformat.validate(book)
    return book


def sources(name: str, kind: str = "code") -> dict[str, str]:
    """The cells of a kind by their id."""
    return {cell.id: cell.source for cell in read(name).cells if cell.cell_type == kind}


def python(source: str) -> ast.Module:
    """A cell's Python, with `pass` in the place of IPython's own lines."""
    return ast.parse(_MAGIC.sub(r"\1pass", source))
