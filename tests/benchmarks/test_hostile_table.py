"""The table of odd input keeps up with its tests."""

import re

from benchmarks.hostile_table import PLACE, ROOT, kinds, table

PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")


def rows(text: str) -> dict[str, str]:
    """Kind by file, without the numbers, which every new test changes."""
    cells = re.findall(r"^\| (.+?) +\| +\d+ \| \[`(\w+\.py)`\]", text, re.MULTILINE)
    return {file: kind for kind, file in cells}


def test_every_file_has_a_row_in_the_docs():
    """If this fails: python -m benchmarks.hostile_table --update=docs/faults.md."""
    shown = rows(PAGE.partition(f"<!-- {PLACE} -->")[2].partition("<!-- end -->")[0])
    assert shown == rows(table({}))
    assert len(shown) == len(kinds()) and all(kinds().values())


def test_the_table_sums_up():
    file = next(iter(kinds()))
    text = table({file: 3})
    assert re.search(r"\| together +\| +3 \|", text)
