"""Control characters, turned writing directions and Markdown in names and messages."""

import pytest

from common.errors import UserError
from common.evaluation.tables import escaped, markdown_table, print_table
from common.progress import Progress, say
from common.text import printable

UNSEEN = {
    "escape": ("\x1b[2J", r"\x1b[2J"),
    "title of the window": ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
    "C1 escape": ("\x9b31m", r"\x9b31m"),
    "carriage return": ("loss 0.1\rloss 9", r"loss 0.1\rloss 9"),
    "backspace": ("ab\b\b", r"ab\x08\x08"),
    "zero byte": ("a\0b", r"a\x00b"),
    "delete": ("a\x7f", r"a\x7f"),
    "tabulator": ("a\tb", r"a\tb"),
    "right to left": ("gpj.\u202eexe", r"gpj.\u202eexe"),
    "isolate": ("\u2066a\u2069", r"\u2066a\u2069"),
    "zero width": ("do\u200bg", r"do\u200bg"),
    "byte order mark": ("\ufeffdog", r"\ufeffdog"),
    "soft hyphen": ("do\xadg", r"do\xadg"),
    "tag letters": ("a\U000e0041", r"a\U000e0041"),
    "half a character": ("a\ud800", r"a\ud800"),
    "byte of a file name": ("caf\udce9", r"caf\udce9"),
    "end of a paragraph": ("a\u2029b", r"a\u2029b"),
    "new line": ("a\nb", r"a\nb"),
}
SEEN = ["", "dog", "Zorvik Ünïted", "犬", "कुत्ता", "❤️", "a\u00a0b", "a\\x1b", "½ µ ± …"]


@pytest.mark.parametrize(("text", "shown"), UNSEEN.values(), ids=UNSEEN)
def test_what_nobody_sees_is_written_out(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize("text", SEEN)
def test_what_is_seen_stays(text):
    assert printable(text) == text


def test_lines_stay_where_they_are_wanted():
    assert printable("a\nb\x1b", lines=True) == "a\nb\\x1b"
    assert printable("a\r\n", lines=True) == "a\\r\n"


@pytest.mark.parametrize(("text", "shown"), UNSEEN.values(), ids=UNSEEN)
def test_the_terminal_gets_no_control_character(text, shown, capsys):
    say(text)
    assert capsys.readouterr().out == (text if text == "a\nb" else shown) + "\n"


def test_a_bar_says_names_as_they_are(capsys):
    with Progress(1, "Training") as progress:
        progress.update(1, {"lo\x1b[31mss": 1.0})
    assert r"lo\x1b[31mss 1" in capsys.readouterr().out


def test_an_error_is_one_sentence_without_control_characters(capsys):
    from common.errors import _tell

    _tell(UserError("the class '\x1b[2J\u202eevil' is\nnot one"))
    assert capsys.readouterr().err == "error: the class '\\x1b[2J\\u202eevil' is not one\n"


MARKDOWN = {
    "pipe": "a|b",
    "new row": "a\n| b | c |",
    "code": "`rm`",
    "script": "<script>alert(1)</script>",
    "picture": "![x](http://a.b/c.png)",
    "link": "[x](javascript:alert(1))",
    "reference": "[x]: http://a.b",
    "backslash before a pipe": "a\\|b",
    "backslash before code": "\\`a`",
    "escape": "\x1b[31m",
    "turned": "\u202eabc",
    "comment": "<!-- end -->",
    "carriage return": "a\r| b |",
    "separator of lines": "a\u2028| b |",
}


@pytest.mark.parametrize("name", MARKDOWN.values(), ids=MARKDOWN)
def test_a_name_stays_one_cell_of_the_table(name):
    text = markdown_table(["name", "n"], [[escaped(name), "1"], ["b", "2"]])
    rows = text.split("\n")
    assert len(rows) == 4 and len({len(row) for row in rows}) == 1
    assert printable(text, lines=True) == text
    cell = rows[2].removeprefix("| ").rpartition(" | ")[0]
    for place, letter in enumerate(cell):
        if letter in "`<[|":
            before = cell[:place]
            assert (len(before) - len(before.rstrip("\\"))) % 2 == 1, "not escaped"


@pytest.mark.parametrize("name", MARKDOWN.values(), ids=MARKDOWN)
def test_results_with_odd_names_are_tables(name, capsys):
    result = {
        "method": name,
        "dataset": name,
        "model": name,
        "metrics": {name: 0.5, f"{name}/x": 1.0},
        "baselines": {f"{name}2": {name: 0.25}},
    }
    print_table(result)
    text = capsys.readouterr().out
    assert "\x1b" not in text and "\u202e" not in text and "\r" not in text
    assert sum(line.startswith("| ---") for line in text.splitlines()) == 2


@pytest.mark.parametrize("name", ["nearest_class_mean", "a*b", "it's", "100 %", "#1", "&"])
def test_names_read_well(name):
    assert escaped(name) == name
