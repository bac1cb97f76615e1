"""The page about a run: it holds everything, and needs nothing else."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.page import html, write_page
from common.page.curves import INK, pictures, read_curves
from common.page.legend import legend
from common.pictures import write_png

RESULT = {
    "method": "mcti",
    "dataset": "folder:a<b",
    "model": "pocket",
    "seed": 3,
    "seconds": 12.0,
    "metrics": {"accuracy": 0.5, "drift/norm": 1.25},
    "baselines": {"ti": {"accuracy": 0.25}},
    "details": {
        "tokens": [{"word": "<x>", "nearest": [["red", 0.5], ["blue", 0.25]]}],
        "cosine": {"zorvik": {"clip": 0.75}},
        "remarks": ["two & three"],
    },
}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A work directory as a run leaves it."""
    lines = [
        {"step": 10, "mcti/ce": 2.0, "ti/ce": 3.0, "seconds": 1.0},
        {"step": 20, "mcti/ce": 1.0, "ti/ce": None, "seconds": 2.0},
        {"step": 20, "eval/accuracy": 0.5},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    write_png(tmp_path / "samples.png", np.full((4, 6, 3), 200, np.uint8))
    for step, name in ((5, "samples"), (10, "samples"), (10, "once")):
        write_png(tmp_path / f"pictures/{step:08d}/{name}.png", np.zeros((4, 6, 3), np.uint8))
    return tmp_path


class Balanced(HTMLParser):
    """Fails on tags that are not closed in order."""

    VOID = ("meta", "img", "path", "use", "br")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_holds_tables_curves_pictures_and_details(folder):
    path = write_page(folder, RESULT, {"epochs": 3, "mesh.data": -1})
    text = path.read_text()
    parser = Balanced()
    parser.feed(text)
    assert path == folder / "report.html" and parser.open == []
    for part in ("folder:a&lt;b", "&lt;x&gt;", "red 0.5, blue 0.25", "zorvik", "two &amp; three"):
        assert part in text
    for cell in ("50.0", "25.0", "1.250", "mesh.data"):
        assert f">{cell}</td>" in text
    assert text.count("<svg") == 1 and text.count("data:image/png;base64,") == 3
    assert "<h3>samples</h3>" in text and "<h3>once</h3>" not in text
    assert text.index("step 5<") < text.index("step 10<")
    assert not re.search(r'(?:src|href)="(?!data:|#)', text), "something lies outside of the file"


def test_a_page_explains_its_names(folder):
    text = write_page(folder, RESULT, {}).read_text()
    assert text.index("What the names mean") < text.index("Over the steps")
    for name in ("mcti", "ti", "accuracy", "drift norm", "ce", "samples"):
        assert f"<tr><td>{name}</td><td>" in text
    assert "<td>waffle_clip</td>" not in text


def test_a_page_follows_the_reader_s_choice_of_light_or_dark(folder):
    text = write_page(folder, RESULT, {}).read_text()
    assert "@media (prefers-color-scheme: dark)" in text
    picture = text[text.index("<svg") : text.index("</svg>")]
    assert "currentColor" in picture and INK not in picture
    assert not re.search(r"(fill|stroke): #(000000|ffffff)", picture)


def test_the_page_is_the_same_twice(folder):
    first = write_page(folder, RESULT, {}).read_bytes()
    assert write_page(folder, RESULT, {}).read_bytes() == first


def test_a_run_without_curves_or_pictures(tmp_path):
    assert "Over the steps" not in write_page(tmp_path, RESULT, {}).read_text()


def test_curves_of_one_kind_stand_together(folder):
    curves = read_curves(folder / "metrics.jsonl")
    assert curves == {
        "mcti/ce": [(10, 2.0), (20, 1.0)],
        "ti/ce": [(10, 3.0)],
        "eval/accuracy": [(20, 0.5)],
    }
    longer = curves | {"ti/ce": [(10, 3.0), (20, 2.5)], "eval/accuracy": [(10, 0.1), (20, 0.5)]}
    titles, drawn = zip(*pictures(longer), strict=True)
    assert titles == ("ce", "evaluation: accuracy (%)")
    assert "mcti" in drawn[0] and "ti" in drawn[0]


def test_the_runs_own_curve_has_a_name(folder):
    curves = {"loss": [(1, 2.0), (2, 1.0)], "paper/loss": [(1, 3.0), (2, 2.0)]}
    ((_, drawn),) = pictures(curves, run="aape")
    assert ">aape<" in drawn and ">paper<" in drawn
    ((_, alone),) = pictures({"loss": curves["loss"]}, run="aape")
    assert ">aape<" not in alone


def test_the_axes_of_a_curve_have_names():
    ((_, drawn),) = pictures({"eval/text/least_cosine": [(1, 0.5), (2, 0.75)]}, run="protext")
    for name in ("step", "least cosine", "text"):
        assert f">{name}</text>" in drawn


@pytest.mark.filterwarnings("error")
def test_long_names_leave_a_curve_its_place():
    curves = {f"{'W' * 60}{number}/{'M' * 60}": [(0, 1.0), (10**7, 2.0)] for number in range(12)}
    assert len(list(pictures(curves))) == 1


def test_every_picture_row_and_metric_of_the_legend_is_found_by_its_name():
    found = legend(["cupl", "ours"], ["second/accuracy", "mcti/ce", "odd"], ["confusion", "x"])
    assert [name for name, _ in found] == ["cupl", "accuracy", "ce", "confusion"]


def test_long_tables_are_folded():
    rows = [[str(number)] for number in range(html.LONG + 1)]
    assert html.table(["n"], rows).startswith("<details>")
    assert "<details>" not in html.table(["n"], rows[:-1])
    assert "<details>" not in html.table(["n"], rows, fold=False)


def test_the_command(folder):
    (folder / "result.json").write_text(json.dumps(RESULT))
    command = [sys.executable, "-m", "common.report", f"--html={folder}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").exists()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_it(folder, tmp_path):
    page, picture = write_page(folder, RESULT, {}), tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,1400"]
    options += [f"--user-data-dir={tmp_path / 'browser'}", f"--screenshot={picture}"]
    subprocess.run([BROWSER, *options, page.as_uri()], check=True, capture_output=True)
    pixels = np.asarray(Image.open(picture).convert("L"))
    assert pixels.shape == (1400, 900) and 0.005 < (pixels < 200).mean() < 0.5
