"""Run folders that are half-written, edited or a stranger's: reports and pages about them."""

import json
import math
import os
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import UserError
from common.page import write_page
from common.page.curves import MOST_PICTURES, further, pictures, read_curves
from common.pictures import write_png
from common.report import report
from common.runs import read_run

RESULT = {
    "method": "mcti",
    "dataset": "pocket:a",
    "model": "pocket",
    "seed": 0,
    "seconds": 2.5,
    "metrics": {"accuracy": 0.5},
    "baselines": {"ti": {"accuracy": 0.25}},
}
ATTACK = (
    "<script>alert(1)</script><img src=x onerror=\"alert('1')\">javascript:alert(1)\x1b[2J\u202e"
)


def write(folder: Path, result=None, config=None, lines: str | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    text = result if isinstance(result, str) else json.dumps(RESULT | (result or {}))
    (folder / "result.json").write_text(text)
    if config is not None:
        text = config if isinstance(config, str) else json.dumps(config)
        (folder / "config.json").write_text(text)
    if lines is not None:
        (folder / "metrics.jsonl").write_text(lines)
    return folder


def page_of(folder: Path) -> str:
    run = read_run(folder)
    return write_page(folder, run.result, run.config).read_text()


# ---- result.json and config.json

NO_RESULT = {
    "empty": ("", "cannot be read as JSON"),
    "half": ('{"method": "mcti", "data', "cannot be read as JSON"),
    "list": ("[]", "holds no JSON object"),
    "number": ("1", "holds no JSON object"),
    "nothing in it": ("{}", "lacks method, dataset, model, seed, metrics, baselines"),
    "not a number": (json.dumps(RESULT).replace("0.25", "NaN"), "NaN"),
    "infinite": (json.dumps(RESULT).replace("0.25", "Infinity"), "Infinity"),
    "too large for a float": (json.dumps(RESULT).replace("0.25", "1e999"), "1e999"),
    "key twice": ('{"seed": 1,' + json.dumps(RESULT)[1:], "twice"),
    "deep": ('{"a":' * 5000 + "1" + "}" * 5000, "cannot be read"),
    "bytes": ("\udc80", "UTF-8"),
}


@pytest.mark.parametrize(("text", "reason"), NO_RESULT.values(), ids=NO_RESULT)
def test_results_that_are_none(text, reason, tmp_path):
    (tmp_path / "result.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=reason):
        read_run(tmp_path)


WRONG = {
    "method": (["mcti"], r"method=\['mcti'\]"),
    "dataset": ({"a": 1}, "dataset="),
    "model": (3, "model=3"),
    "long method": ("a" * 5000, "method='aaa"),
    "seed": ("first", "seed='first'"),
    "half seed": (0.5, "seed=0.5"),
    "huge seed": (10**30, "seed=1"),
    "metrics": ([1], r"metrics=\[1\]"),
    "metric": ({"accuracy": "high"}, r"metrics\.accuracy='high'"),
    "true metric": ({"accuracy": True}, r"metrics\.accuracy=True"),
    "metric of metrics": ({"accuracy": {"mean": 1}}, r"metrics\.accuracy=\{'mean': 1\}"),
    "listed metric": ({"accuracy": [0.5]}, r"metrics\.accuracy=\[0\.5\]"),
    "huge metric": ({"loss": 1e300}, r"metrics\.loss=1e\+300"),
    "baselines": ("chance", "baselines='chance'"),
    "listed baselines": ([{"a": 1}], "baselines="),
    "nested baselines": ({"ti": {"base": {"accuracy": 1}}}, r"baselines\.ti\.base="),
    "baseline in words": ({"ti": "good"}, r"baselines\.ti='good'"),
    "seconds": ("long", "seconds='long'"),
    "details": ([], r"details=\[\]"),
    "versions": ("new", "versions='new'"),
}
FIELD = {
    "long method": "method",
    **dict.fromkeys(("half seed", "huge seed"), "seed"),
    **dict.fromkeys(("metric", "true metric", "metric of metrics", "listed metric"), "metrics"),
    "huge metric": "metrics",
    **dict.fromkeys(("listed baselines", "nested baselines", "baseline in words"), "baselines"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_value_of_another_type_is_refused_by_name(case, tmp_path):
    value, named = WRONG[case]
    folder = write(tmp_path, {FIELD.get(case, case): value})
    with pytest.raises(UserError, match=f"{named}.* in .*result.json' is not .*: leave this run"):
        read_run(folder)


@pytest.mark.parametrize("text", ["[1]", '{"a": NaN}', '{"a"', "", '{"a": "\\ud800"}'])
def test_a_config_that_is_none(text, tmp_path):
    with pytest.raises(UserError, match=r"config\.json"):
        read_run(write(tmp_path, config=text))


@pytest.mark.parametrize("name", ["result.json", "config.json"])
def test_links_and_pipes_are_not_read(name, tmp_path):
    folder = write(tmp_path / "run", config={"a": 1})
    secret = tmp_path / "secret.json"
    (folder / name).rename(secret)
    (folder / name).symlink_to(secret)
    with pytest.raises(UserError, match=f"{name} is a link, which is not followed"):
        read_run(folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(UserError, match=f"{name}' is a folder, a pipe or a device"):
        read_run(folder)


def test_plain_meanings_are_taken(tmp_path):
    plain = {
        "metrics": {"accuracy": "0.5", "loss": None},
        "baselines": {"chance": 1, "mcti": {"accuracy": 0.125}, "none": {}},
        "seed": "3",
        "model": None,
    }
    run = read_run(write(tmp_path, plain))
    assert run.result["metrics"] == {"accuracy": 0.5, "loss": None} and run.result["seed"] == 3
    text = " ".join(report([run]).split())
    # A baseline that is called as the method has a row of its own.
    for row in ("| mcti | 50.0 | - |", "| mcti (baseline) | 12.5 |", "| chance | 100.0 |"):
        assert row in text


ODD_NAMES = ["", "犬", "a|b", "a\nb", "`x`", "<b>", "$x_1$", "_x", "a" * 900, "\x1b[2J", "é\u202e"]


@pytest.mark.parametrize("name", ODD_NAMES, ids=[ascii(x)[:20] for x in ODD_NAMES])
def test_any_name_stands_in_a_report_and_on_a_page(name, tmp_path):
    odd = {
        "method": name,
        "dataset": name,
        "metrics": {f"accuracy{name}": 0.5, f"{name}/x": 1.0, name: 2.0},
        "baselines": {name: {"accuracy": 0.25}, f"{name}2": 0.5},
        "details": {name: {name: {name: [name, 1.5, None]}}, f"{name}2": [{name: 1}]},
        "versions": {name: name},
    }
    line = {"step": 1, name: 1.0, f"{name}/{name}": 1.0, f"eval/{name}": 3}
    lines = "".join(json.dumps(line | {"step": step}) + "\n" for step in (1, 2, 3))
    folder = write(tmp_path, odd, {name: {name: name}}, lines)
    text = report([read_run(folder)])
    assert "\x1b" not in text and text.encode("utf-8")
    assert page_of(folder).count("<svg") >= 1


def test_runs_of_other_methods_and_fields_stand_in_one_report(tmp_path):
    runs = [
        write(tmp_path / "a", {"method": "mcti"}, {"seed": 0, "shots": [1, 2]}),
        write(tmp_path / "b", {"method": "mcti", "seed": 1}, {"seed": "x", "long": "a" * 5000}),
        write(tmp_path / "c", {"method": "other", "metrics": {}, "baselines": {}}, {}),
        write(tmp_path / "d", {"method": "other", "metrics": {"new": 1}, "seed": 2**64 - 1}),
        write(tmp_path / "e", {"metrics": {"base/accuracy": -1, "new/accuracy": 1}, "seed": 5}),
    ]
    text = report([read_run(run) for run in runs])
    assert "| other |" in " ".join(text.split()) and str(2**64 - 1) in text
    assert max(map(len, text.splitlines())) < 1000


def test_seeds_of_several_types_are_put_in_order(tmp_path):
    values = [3, "x", None, [1], 0.5]
    runs = [
        read_run(write(tmp_path / str(n), config={"shots_seed": value, "seed": 0}))
        for n, value in enumerate(values)
    ]
    assert "mcti" in report(runs)
    with pytest.raises(UserError, match="are the same run"):
        report([*runs, read_run(write(tmp_path / "again", config={"shots_seed": "x", "seed": 0}))])


# ---- metrics.jsonl

GOOD = '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n'
CURVE = {"loss": [(1, 2.0), (2, 1.0)]}
ODD_LINES = {
    "half a last line": '{"step": 3, "lo',
    "half a number": '{"step": 3, "loss": 1.',
    "no step": '{"loss": 3.0}',
    "step in words": '{"step": "last", "loss": 3.0}',
    "step of nothing": '{"step": null, "loss": 3.0}',
    "half a step": '{"step": 1.5, "loss": 3.0}',
    "step before the first": '{"step": -1, "loss": 3.0}',
    "step without end": '{"step": 1e999, "loss": 3.0}',
    "huge step": '{"step": 99999999999999999999999, "loss": 3.0}',
    "true step": '{"step": true, "loss": 3.0}',
    "list": "[1, 2]",
    "text": '"loss"',
    "number": "17",
    "no JSON": "step 3 loss 2.0",
    "NaN": '{"step": 3, "loss": NaN}',
    "infinite": '{"step": 3, "loss": -Infinity}',
    "huge": '{"step": 3, "loss": 1e308}',
    "huge whole number": '{"step": 3, "loss": 1' + "0" * 400 + "}",
    "more digits than Python reads": '{"step": 3, "loss": 1' + "0" * 5000 + "}",
    "words for a number": '{"step": 3, "loss": "low"}',
    "list for a number": '{"step": 3, "loss": [1.0]}',
    "object for a number": '{"step": 3, "loss": {"mean": 1.0}}',
    "true for a number": '{"step": 3, "loss": true}',
    "deep": "[" * 100_000,
    "zero bytes": "\0\0\0\0",
    "bytes": "\udcff\udcfe",
}


@pytest.mark.parametrize("line", ODD_LINES.values(), ids=ODD_LINES)
def test_an_odd_line_is_passed_over_and_counted(line, tmp_path, capsys):
    file = tmp_path / "metrics.jsonl"
    for text in (GOOD + line, GOOD.replace("\n", f"\n{line}\n", 1)):
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
        assert read_curves(file) == CURVE
        assert "holds 1 line or value that no run writes: passed over" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "\n\n", GOOD, GOOD + "\n \n", GOOD.replace("\n", "\r\n")])
def test_nothing_is_said_of_lines_in_order(text, tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_text(text, newline="")
    assert read_curves(tmp_path / "metrics.jsonl") == (CURVE if text.strip() else {})
    assert capsys.readouterr().out == ""


def test_a_whole_float_is_a_step(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 3.0, "loss": 1}\n')
    assert read_curves(tmp_path / "metrics.jsonl") == {"loss": [(3, 1.0)]}


@pytest.mark.parametrize("kind", ["link", "FIFO", "folder"])
def test_metrics_are_read_from_a_file_of_the_run_alone(kind, tmp_path):
    place = tmp_path / "run" / "metrics.jsonl"
    place.parent.mkdir()
    if kind == "link":
        (tmp_path / "other").write_text(GOOD)
        place.symlink_to(tmp_path / "other")
    elif kind == "FIFO":
        os.mkfifo(place)
    else:
        place.mkdir()
    assert read_curves(place) == {}


EXTREME = {
    "one value": [1.0, 1.0],
    "both ends": [1e99, -1e99],
    "tiny": [5e-324, 0.0],
    "far from zero": [1e15, 1e15 + 1],
    "below zero": [-0.0, -1e-300],
}


@pytest.mark.parametrize("values", EXTREME.values(), ids=EXTREME)
def test_extreme_values_are_drawn(values):
    curve = list(enumerate(values))
    ((_, drawn),) = pictures({"accuracy": curve})
    assert drawn.startswith("<svg") and "nan" not in drawn.lower().replace("nanum", "")


def test_three_hundred_metrics_are_a_page_in_seconds(tmp_path):
    names = [f"metric{n}" for n in range(300)]
    lines = [{"step": s, **{n: math.sin(s + len(n)) for n in names}} for s in range(50)]
    folder = write(tmp_path, lines="".join(json.dumps(line) + "\n" for line in lines))
    started = time.process_time()
    text = page_of(folder)
    assert time.process_time() - started < 5
    assert text.count("<svg") == MOST_PICTURES
    assert all(f">{name}<" in text for name in names)


def test_three_hundred_curves_of_one_kind(tmp_path):
    curves = {f"v{n}/loss": [(1, 1.0), (2, float(n))] for n in range(300)}
    ((title, drawn),) = pictures(curves)
    rows = further(curves)
    assert title == "loss" and drawn.count("<svg") == 1
    assert len(rows) == 288 and ["loss, v299", "1", "299", "1", "299"] in rows


def test_a_hundred_thousand_steps_are_a_small_picture_of_the_same_extremes():
    curve = [(step, math.sin(step / 999)) for step in range(100_000)]
    curve[51_234] = (51_234, 7.25)
    ((_, drawn),) = pictures({"loss": curve})
    assert len(drawn) < 300_000
    from common.page.curves import _thinned

    kept = _thinned(curve)
    assert (
        len(kept) <= 2002
        and curve[51_234] in kept
        and {curve[0], curve[-1]} <= {*kept}
        and kept == sorted(kept)
    )
    assert _thinned(curve[:2000]) == curve[:2000]


# ---- pictures

PNG = b"\x89PNG\r\n\x1a\n"


def bomb(path: Path) -> None:
    """A PNG of a few bytes that says it has more pixels than a page takes, which Pillow opens."""
    write_png(path, np.zeros((1, 1, 3), np.uint8))
    raw = bytearray(path.read_bytes())
    raw[16:24] = (11_000).to_bytes(4, "big") * 2
    import zlib

    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    path.write_bytes(raw)


def linked(path: Path) -> None:
    target = path.parent.parent / "elsewhere.png"
    write_png(target, np.zeros((2, 2, 3), np.uint8))
    path.symlink_to(target)


def large(path: Path) -> None:
    path.write_bytes(PNG)
    os.truncate(path, 2**25)


NO_PICTURE = {
    "link to a picture": linked,
    "link to a file of the system": lambda path: path.symlink_to("/etc/passwd"),
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
    "text": lambda path: path.write_text("root:x:0:0"),
    "empty": Path.touch,
    "signature alone": lambda path: path.write_bytes(PNG),
    "drawing with a script": lambda path: path.write_text("<svg onload='alert(1)'/>"),
    "PostScript": lambda path: path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    "GIF": lambda path: Image.new("RGB", (2, 2)).save(path, format="GIF"),
    "too many pixels": bomb,
    "too large": large,
    "device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("make", NO_PICTURE.values(), ids=NO_PICTURE)
def test_only_pictures_of_the_run_are_on_its_page(make, tmp_path):
    folder = write(tmp_path / "run")
    write_png(folder / "good.png", np.zeros((2, 2, 3), np.uint8))
    make(folder / "odd<b>.png")
    text = page_of(folder)
    assert text.count("<img") == 1 and 'alt="good"' in text
    assert "root:x" not in text and "cm9vd" not in text
    assert "Not shown, since they are links, not pictures or too large: odd&lt;b&gt;.png." in text


def test_a_jpeg_is_a_picture_by_its_content(tmp_path):
    folder = write(tmp_path)
    Image.new("RGB", (2, 2)).save(folder / "photo.png", format="JPEG")
    assert 'src="data:image/jpeg;base64,' in page_of(folder)


def test_folders_of_pictures_are_not_followed_elsewhere(tmp_path):
    folder = write(tmp_path / "run")
    for step in (1, 2):
        write_png(tmp_path / f"other/{step:08d}/x.png", np.zeros((2, 2, 3), np.uint8))
    (folder / "pictures").symlink_to(tmp_path / "other")
    assert "<img" not in page_of(folder)
    (folder / "pictures").unlink()
    (folder / "pictures").mkdir()
    for step in (1, 2):
        (folder / f"pictures/{step:08d}").symlink_to(tmp_path / f"other/{step:08d}")
    assert "<img" not in page_of(folder)


@pytest.mark.parametrize("step", ["latest", "1", "٣٣٣٣٣٣٣٣", "00000001 (copy)", "-0000001"])
def test_other_folders_among_the_pictures(step, tmp_path):
    folder = write(tmp_path)
    for name in ("00000005", "00000010", step):
        write_png(folder / f"pictures/{name}/x.png", np.zeros((2, 2, 3), np.uint8))
    assert page_of(folder).count("<img") == 2


def test_a_page_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr("common.page.contents.MOST_PICTURES", 3)
    folder = write(tmp_path)
    for number in range(5):
        write_png(folder / f"{number}.png", np.zeros((2, 2, 3), np.uint8))
    text = page_of(folder)
    assert text.count("<img") == 3 and "too large: 3.png, 4.png." in text


# ---- what is written


class Quiet(HTMLParser):
    """Fails on whatever can run or fetch."""

    TAGS = frozenset({"script", "iframe", "object", "embed", "link", "base", "form", "a"})

    def handle_starttag(self, tag, attrs):
        assert tag not in self.TAGS
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in ("src", "href", "xlink:href"):
                assert value.startswith(("data:image/png;base64,", "#")), value


def test_no_text_of_a_run_becomes_a_program(tmp_path):
    odd = {
        "method": ATTACK,
        "dataset": ATTACK,
        "model": ATTACK,
        "updates": ATTACK,
        "devices": ATTACK,
        "metrics": {ATTACK: 1.0, f"{ATTACK}/b": 2.0},
        "baselines": {ATTACK * 2: {"accuracy": 1}},
        "details": {ATTACK: [{ATTACK: ATTACK}], "b": {ATTACK: ATTACK}, "c": [ATTACK], "d": ATTACK},
        "versions": {ATTACK: ATTACK},
    }
    line = {ATTACK: 1.0, f"x/{ATTACK}": 2.0, f"{ATTACK}/loss": 1.0, "loss": 2.0}
    lines = "".join(json.dumps(line | {"step": step}) + "\n" for step in (1, 2))
    folder = write(tmp_path, odd, {ATTACK: ATTACK, "b": [ATTACK]}, lines)
    for step in (1, 2):
        for name in ("<script>.png", '" onload="alert(1).png', "javascript:a.png"):
            write_png(folder / name, np.zeros((2, 2, 3), np.uint8))
            write_png(folder / f"pictures/{step:08d}" / name, np.zeros((2, 2, 3), np.uint8))
    text = page_of(folder)
    Quiet().feed(text)
    assert "default-src 'none'" in text
    assert "\x1b" not in text and "\u202e" not in text and "<script" not in text


def test_the_page_replaces_a_link_and_leaves_its_target(tmp_path):
    folder = write(tmp_path / "run")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "report.html").symlink_to(victim)
    page_of(folder)
    assert victim.read_text() == "mine" and not (folder / "report.html").is_symlink()


def test_details_of_any_depth_and_width(tmp_path):
    deep: dict = {}
    for _ in range(40):
        deep = {"a": deep, "b": [deep]} if len(json.dumps(deep)) < 10_000 else {"a": deep}
    wide = [{f"c{row}_{column}": 1 for column in range(40)} for row in range(200)]
    text = page_of(write(tmp_path, {"details": {"deep": deep, "wide": wide, "none": None}}))
    assert len(text) < 10**7 and "c199_39 1" in text
