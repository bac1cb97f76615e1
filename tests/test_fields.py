"""The table of a config's fields, and that the docs hold the newest."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from common import fields
from common.errors import UserError
from common.fields import PLACE, Field, fields_table, read_fields, renewed

ROOT = Path(__file__).parents[1]
CONFIG = """
from ml_collections import ConfigDict
from configs.parts import loss


def defaults():
    config = ConfigDict()
    config.seed = 0  # of what

    # The model,
    # and more.
    config.sizes = (
        1,
        2,
    )  # of layers
    config.group = ConfigDict()
    config.group.a = "#"  # a | b
    config.mesh = ConfigDict({"data": -1})  # axes
    config.loss = loss()
    config.loss.scale = 2.0  # changed
    config.loss["lambda"] = 3.0  # the weight
    config.bare = None
    return config
"""
PARTS = '''
def loss():
    """What is minimised."""
    config = ConfigDict()
    config["lambda"] = 5.0  # weight
    config.scale = 1.0  # of it
    return config
'''


@pytest.fixture
def file(tmp_path) -> Path:
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "mine.py").write_text(CONFIG)
    return tmp_path / "mine.py"


def test_fields_are_read_from_the_file(file):
    model, loss = "The model, and more", "What is minimised"
    assert read_fields(file) == [
        Field("seed", "0", "of what", ""),
        Field("sizes", "(1, 2)", "of layers", model),
        Field("group.a", '"#"', "a | b", model),
        Field("mesh.data", "-1", "axes", model),
        Field("loss.lambda", "3.0", "the weight", loss),
        Field("loss.scale", "2.0", "changed", loss),
        Field("bare", "None", "", model),
    ]


def test_a_page_is_renewed(file):
    page = "a\n<!-- fields: mine.py -->\nold\n<!-- end -->\nb\n<!-- fields: x.py -->"
    found = renewed(page, file.parent)
    assert fields_table(read_fields(file)) in found
    assert found.startswith("a\n<!--") and "old" not in found
    assert found.endswith("<!-- end -->\nb\n<!-- fields: x.py -->")
    assert renewed(found, file.parent) == found


def test_a_page_in_order_is_left_alone(file, monkeypatch, capsys):
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(fields.flags, "FLAGS", SimpleNamespace(update=True))
    page = file.parent / "page.md"
    page.write_text("<!-- fields: mine.py -->\nold\n<!-- end -->\n")
    fields.main(["fields", "page.md"])
    before = page.stat().st_mtime_ns
    fields.main(["fields", "page.md"])
    assert capsys.readouterr().out == "wrote page.md\npage.md is up to date\n"
    assert page.stat().st_mtime_ns == before


def test_what_another_table_holds_is_left_out(file):
    (file.parent / "other.py").write_text(CONFIG.replace("of what", "else").replace("2.0", "3.0"))
    page = "<!-- fields: other.py without mine.py -->\n<!-- end -->"
    rows = renewed(page, file.parent).splitlines()
    assert [row.split("`")[1] for row in rows if "`" in row] == ["seed", "loss.scale"]


def test_files_that_are_no_configs(tmp_path):
    (tmp_path / "x.py").write_text("pass")
    with pytest.raises(UserError, match=r"has no function defaults\(\)"):
        read_fields(tmp_path / "x.py")
    with pytest.raises(UserError, match="is missing"):
        read_fields(tmp_path / "y.py")


@pytest.mark.parametrize("page", ["mcti", "protext", "aape"])
def test_the_docs_hold_the_newest_tables(page):
    """If this fails: python -m common.fields --update docs/*.md."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    named = {place["file"] for place in PLACE.finditer(text)}
    assert named == {f"configs/{file.name}" for file in (ROOT / "configs").glob(f"{page}*.py")}
    assert renewed(text, ROOT) == text
