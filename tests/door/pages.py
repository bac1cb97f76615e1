"""The Python of a page of Markdown."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def snippets(page: str) -> list[str]:
    """The blocks of a page that are marked as Python, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run(page: str) -> dict[str, object]:
    """Run the blocks of a page one after another, and return what they define."""
    defined: dict[str, object] = {}
    for number, block in enumerate(snippets(page)):
        exec(compile(block, f"{page}, block {number}", "exec"), defined)
    return defined
