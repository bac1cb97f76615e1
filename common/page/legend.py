"""What the names on a page mean, for those who meet them for the first time."""

import re
from collections.abc import Iterable

from common.terms import terms_of


def legend(
    rows: Iterable[str], metrics: Iterable[str], pictures: Iterable[str], method: str = ""
) -> list[tuple[str, str]]:
    """Return each name that is known with its meaning, in the order of the method's terms.

    Args:
      rows: Names of a result's rows.
      metrics: Names of its metrics and curves.
      pictures: Names of its pictures.
      method: "package:class"; "" where it is not known.
    """
    terms = terms_of(method)
    measured = {name if name in terms.metrics else name.rpartition("/")[2] for name in metrics}
    lines = [(name, terms.rows[name]) for name in terms.rows if name in set(rows)]
    for meanings, names in ((terms.metrics, measured), (terms.pictures, set(pictures))):
        lines += [(re.sub("[_/]", " ", name), meanings[name]) for name in meanings if name in names]
    return lines
