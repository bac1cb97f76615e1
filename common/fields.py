"""The fields of a config: names, defaults and meanings, read from the config file itself.

    python -m common.fields CONFIG...
    python -m common.fields --update PAGE...

A config file says behind each default what the field is; that is the only place where it is
written. The first form prints the table of a file's fields. `--update` renews such tables in pages
of Markdown, each between `<!-- fields: FILE -->` and `<!-- end -->`; `FILE without OTHER` leaves
out the rows that the table of OTHER holds as well.

For example:

    python -m common.fields configs/mcti.py
    python -m common.fields --update docs/mcti.md docs/protext.md docs/aape.md
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from absl import flags

from common.damage import DAMAGED, cause
from common.errors import UserError, run_command
from common.evaluation.tables import markdown_table
from common.files import atomic_write, read_text
from common.paths import as_path
from common.progress import say

PLACE = re.compile(
    r"(?P<head><!-- fields: (?P<file>\S+)(?: without (?P<other>\S+))? -->\n).*?(?=<!-- end -->)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Field:
    """A field as its config file defines it.

    Attributes:
      name: Dotted, e.g. "mesh.data".
      default: As the file writes it.
      meaning: The comment behind it; empty where there is none.
      section: The comment above it and its neighbours, or that of the function it comes from.
    """

    name: str
    default: str
    meaning: str
    section: str


def read_fields(file: Path) -> list[Field]:
    """Return the fields that the function `defaults` of a config file defines, in order.

    A group may be made by another function, of this file or of one beside it.

    Raises:
      UserError: There is no such function.
    """
    module = _Module(file)
    if "defaults" not in module.functions:
        raise UserError(f"{file} has no function defaults(): name a file of configs/.")
    fields: dict[str, Field] = {}
    try:
        for field in module.fields("defaults", ""):
            # A later line changes what a function before it made.
            section = fields.get(field.name, field).section
            fields[field.name] = replace(field, section=section)
    except RecursionError:
        raise UserError(f"a function of {file} calls itself: name a file of configs/.") from None
    return list(fields.values())


class _Module:
    def __init__(self, file: Path) -> None:
        self.source = read_text(file, "name a file of configs/")
        self.lines = self.source.splitlines()
        try:
            tree = ast.parse(self.source)
        except DAMAGED as error:
            raise UserError(
                f"{file} is not Python ({cause(error)}): name a file of configs/."
            ) from None
        self.functions = {x.name: x for x in tree.body if isinstance(x, ast.FunctionDef)}
        self.origins = {
            name.asname or name.name: file.parent / f"{x.module.rpartition('.')[2]}.py"
            for x in tree.body
            if isinstance(x, ast.ImportFrom) and (x.module or "").startswith("configs.")
            for name in x.names
        }

    def fields(self, function: str, prefix: str) -> Iterator[Field]:
        """Yield the fields that a function defines, with those of the functions that it calls."""
        tree = self.functions[function]
        section = (ast.get_docstring(tree) or "").partition("\n")[0].rstrip(".") if prefix else ""
        for node in tree.body:
            if not isinstance(node, ast.Assign) or not (name := _chain(node.targets[0])):
                continue
            section = self._comment_above(node.lineno) or section
            meaning = self._comment_behind(node)
            match node.value:
                case ast.Call(ast.Name("ConfigDict"), []):
                    continue
                case ast.Call(ast.Name("ConfigDict"), [ast.Dict(keys, values)]) if _constant(keys):
                    for key, value in zip(keys, values, strict=True):
                        default = self._written(value)
                        yield Field(f"{prefix}{name}.{key.value}", default, meaning, section)
                case ast.Call(ast.Name(other), []) if other in self.functions | self.origins:
                    module = self if other in self.functions else _Module(self.origins[other])
                    yield from module.fields(other, f"{prefix}{name}.")
                case value:
                    yield Field(prefix + name, self._written(value), meaning, section)

    def _written(self, value: ast.expr) -> str:
        text = " ".join(ast.get_source_segment(self.source, value).split())
        return re.sub(r"\( |,? \)", lambda match: match[0].strip(", "), text)

    def _comment_behind(self, node: ast.stmt) -> str:
        line = self.lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode().strip()
        return line.lstrip("# ") if line.startswith("#") else ""

    def _comment_above(self, line: int) -> str:
        above: list[str] = []
        while (text := self.lines[line - 2].strip()).startswith("#"):
            above.insert(0, text.lstrip("# "))
            line -= 1
        return " ".join(above).rstrip(".")


def _constant(keys: Sequence[ast.expr | None]) -> bool:
    return all(isinstance(key, ast.Constant) for key in keys)


def _chain(node: ast.expr) -> str:
    """Return the dotted name behind `config` that is assigned to; empty if it is something else."""
    match node:
        case ast.Attribute(inner, name) | ast.Subscript(inner, ast.Constant(str(name))):
            if isinstance(inner, ast.Name):
                return name if inner.id == "config" else ""
            return f"{group}.{name}" if (group := _chain(inner)) else ""
    return ""


def fields_table(fields: Sequence[Field]) -> str:
    """Return a table in Markdown, with a line in bold above the fields of each section."""
    rows, section = [], ""
    for field in fields:
        if field.section != section:
            section = field.section
            rows.append([f"**{section}**", "", ""])
        rows.append([f"`{field.name}`", f"`{field.default}`", field.meaning])
    return markdown_table(["field", "default", "meaning"], rows)


def renewed(page: str, root: Path) -> str:
    """Renew the tables of a page; files are named from `root`."""

    def table(place: re.Match) -> str:
        fields = read_fields(root / place["file"])
        known = read_fields(root / place["other"]) if place["other"] else []
        shown = {(x.name, x.default, x.meaning) for x in known}
        differing = [x for x in fields if (x.name, x.default, x.meaning) not in shown]
        return f"{place['head']}\n{fields_table(differing)}\n\n"

    return PLACE.sub(table, page)


def define_flags() -> None:
    """Define the command's options."""
    flags.DEFINE_bool("update", False, "Renew the tables of the pages that are named.")


def main(argv: Sequence[str]) -> None:
    """Print the tables of config files, or renew those of pages."""
    if len(argv) < 2:
        raise UserError("no file is named: give a config file, e.g. configs/mcti.py.")
    for name in argv[1:]:
        file = as_path(name)
        if not flags.FLAGS.update:
            print(fields_table(read_fields(file)))
            continue
        before = read_text(file, "name a page of docs/")
        text = renewed(before, Path.cwd())
        if text == before:
            say(f"{file} is up to date")
            continue
        with atomic_write(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
        say(f"wrote {file}")


if __name__ == "__main__":
    run_command(main, define_flags, positional=True)
