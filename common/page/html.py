"""Parts of a page: tables, lists and pictures as HTML, with nothing left outside the file."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from numbers import Real
from typing import Any

from common.evaluation.tables import is_number
from common.text import printable

MOST_CELLS = 10**6
LONG = 12  # rows that are shown without a click

# Nothing is fetched and no script runs, whatever a run's texts hold.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2530; --paper: #ffffff; --rule: #dfe5ec;
  --faint: #5b6875; --link: #084594; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dde4ec; --paper: #14191f; --rule: #333d48; --faint: #9aa7b5; --link: #8ab8f0; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
table { border-collapse: collapse; margin: 0.8em 0; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25em 0.8em; text-align: left; border-bottom: 1px solid var(--rule); }
td.number { text-align: right; }
figure { display: inline-block; margin: 0.5em 1em 0.5em 0; vertical-align: top; }
figcaption { font-weight: 600; }
img, svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; }
.strip { display: flex; overflow-x: auto; } .strip img { max-width: 560px; }
.strip figure { flex: none; } .note { color: var(--faint); }
summary { cursor: pointer; color: var(--link); }
"""


def note(text: str) -> str:
    """Render a remark in small letters."""
    return f'<p class="note">{_text(text)}</p>'


def _text(text: str) -> str:
    """Escape any text, between tags or in an attribute."""
    return escape(printable(text, lines=True))


def page(title: str, *parts: str) -> str:
    """Render a whole document."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def title(text: str, level: int) -> str:
    """Render a heading."""
    return f"<h{level}>{_text(text)}</h{level}>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], fold: bool = True) -> str:
    """Render a table with numbers to the right; long tables open on a click if they fold."""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    markup = f'<div class="scroll"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'
    if len(rows) <= LONG or not fold:
        return markup
    return f"<details><summary>{len(rows)} rows</summary>{markup}</details>"


def _cell(text: str) -> str:
    kind = ' class="number"' if is_number(text) else ""
    return f"<td{kind}>{_text(text)}</td>"


def unfolded(title: str, content: str) -> str:
    """Render content that a click on its title folds away."""
    return f"<details open><summary>{_text(title)}</summary>{content}</details>"


def figure(title: str, picture: str) -> str:
    """Render a picture under its title."""
    return f"<figure><figcaption>{_text(title)}</figcaption>{picture}</figure>"


def strip(figures: Sequence[str]) -> str:
    """Render pictures of one height side by side, which can be moved through."""
    return f'<div class="strip">{"".join(figures)}</div>'


def image(name: str, kind: str, content: bytes) -> str:
    """Render a picture inside of the page.

    Args:
      name: For readers who do not see it.
      kind: Its media type, e.g. "image/png".
      content: Of the file.
    """
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="{_text(name)}" src="data:{kind};base64,{data}">'


def value(content: Any) -> str:
    """Render what a JSON file holds: objects of objects and lists of objects become tables."""
    if isinstance(content, Mapping):
        inner = list(content.values())
        if inner and all(isinstance(x, Mapping) for x in inner):
            return _objects([{"": name, **row} for name, row in content.items()])
        return table(("", ""), [(str(name), words(x)) for name, x in content.items()])
    if isinstance(content, list) and content and all(isinstance(x, Mapping) for x in content):
        return _objects(content)
    if isinstance(content, list):
        return "<ul>" + "".join(f"<li>{_text(words(x))}</li>" for x in content) + "</ul>"
    return f"<p>{_text(words(content))}</p>"


def _objects(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if len(columns) * len(rows) > MOST_CELLS:
        return table(("", ""), [(str(place), words(row)) for place, row in enumerate(rows)])
    cells = [[words(row[name]) if name in row else "" for name in columns] for row in rows]
    return table([name.replace("_", " ") for name in columns], cells)


def words(content: Any) -> str:
    """Return a value in one line: numbers with four digits, lists with commas."""
    if isinstance(content, bool) or content is None:
        return "-" if content is None else str(content)
    if isinstance(content, Real) and not isinstance(content, int):
        return f"{content:.4g}"
    if isinstance(content, Mapping):
        return ", ".join(f"{name} {words(x)}" for name, x in content.items())
    if isinstance(content, list):
        joint = " " if [type(x) for x in content] == [str, float] else ", "
        return joint.join(map(words, content))
    return str(content)
