"""One HTML file about a run, with everything in it."""

from common.page.page import write_page

__all__ = ["write_page"]
