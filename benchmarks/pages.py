"""Tables in pages of Markdown that a script renews: `<!-- NAME -->`, the table, `<!-- end -->`."""

import re

from common.errors import UserError
from common.files import atomic_write, read_text
from common.paths import as_path
from common.progress import say


def renewed(page: str, name: str, table: str) -> str:
    """Return a page with this table in the place of the name.

    Raises:
      UserError: The page has no such place.
    """
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    if not place.search(page):
        raise UserError(f"--update: the page has no <!-- {name} --> ... <!-- end -->.")
    return place.sub(lambda found: f"{found[1]}\n{table}\n\n", page)


def renew(file: str, name: str, table: str) -> None:
    """Renew a table in a file.

    Raises:
      UserError: It cannot be read, or has no such place.
    """
    page = as_path(file)
    text = renewed(read_text(page, "name a page of Markdown"), name, table)
    with atomic_write(page) as path:
        path.write_text(text, encoding="utf-8")
    say(f"wrote {page}")
