"""A finished run as one HTML file: tables, curves, pictures, details and its config."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.evaluation.tables import metric_groups, result_rows, value_rows
from common.files import atomic_write
from common.page import html
from common.page.contents import Pictures
from common.page.curves import Curve, further, pictures, read_curves
from common.page.legend import legend
from common.paths import AnyPath
from common.text import some
from common.training.writers import PICTURES, PREFIX

STEP = "[0-9]" * 8
"""The name of an evaluation's folder of pictures."""

MOST_NAMED = 20


def write_page(folder: AnyPath, result: Mapping[str, Any], config: Mapping[str, Any]) -> AnyPath:
    """Write `folder/report.html`, which needs no other file.

    Args:
      folder: A run's work directory, whose curves and pictures are shown.
      result: What its `result.json` holds.
      config: Its settings by dotted name; may be empty.
    """
    files, curves = Pictures(folder), read_curves(folder / "metrics.jsonl")
    finished, strips = list(files.found("*.png")), _strips(files)
    title = f"{result['method']} on {result['dataset']}"
    parts = [
        html.title(title, 1),
        html.note(_origin(result)),
        *_tables(result),
        _legend(
            result,
            curves,
            [*(file.stem for file, _, _ in finished), *strips],
            str(config.get("method", "")),
        ),
        *_section("Over the steps", _curves(curves, result)),
        *_section("Pictures", _pictures(finished)),
        *_section("Pictures over the steps", _evolution(strips)),
        _left(files),
        *_details(result),
        *_section("Config", html.table(("field", "value"), _fields(config)) if config else ""),
        *_section("Versions", html.value(result.get("versions", {}))),
    ]
    path = folder / "report.html"
    with atomic_write(path) as temporary:
        temporary.write_text(html.page(title, *parts), encoding="utf-8")
    return path


def _origin(result: Mapping[str, Any]) -> str:
    known = {
        "model": result["model"],
        "seed": result["seed"],
        "updates": result.get("updates"),
        "seconds": result.get("seconds"),
        "devices": result.get("devices"),
    }
    return html.words({name: value for name, value in known.items() if value is not None})


def _tables(result: Mapping[str, Any]) -> list[str]:
    groups = metric_groups(value_rows(result))
    return [html.table(header, body, fold=False) for header, body in groups]


def _section(title: str, content: str) -> list[str]:
    return [html.title(title, 2), content] if content else []


def _legend(
    result: Mapping[str, Any], curves: Mapping[str, Curve], pictures: Sequence[str], method: str
) -> str:
    rows = result_rows(result)
    metrics = [*(name for row in rows.values() for name in row), *curves]
    named = legend(rows, (name.removeprefix(PREFIX) for name in metrics), pictures, method)
    meaning = html.table(("name", "meaning"), named, fold=False)
    return html.unfolded("What the names mean", meaning) if named else ""


def _curves(curves: Mapping[str, Curve], result: Mapping[str, Any]) -> str:
    run, (_, *beside) = result["method"], result_rows(result).items()
    parts = [html.figure(title, svg) for title, svg in pictures(curves, run, dict(beside))]
    if rows := further(curves, run):
        parts.append(html.table(("metric", "first", "last", "least", "greatest"), rows))
    return "\n".join(parts)


def _pictures(finished: Sequence[tuple[AnyPath, str, bytes]]) -> str:
    return "\n".join(
        html.figure(file.stem.replace("_", " "), html.image(file.stem, kind, content))
        for file, kind, content in finished
    )


def _strips(files: Pictures) -> dict[str, list[str]]:
    """Return by name what was drawn at two steps or more, in evaluations or previews."""
    strips: dict[str, list[str]] = {}
    for file, kind, content in files.found(f"{PICTURES}/{STEP}/*.png"):
        picture = html.image(file.stem, kind, content)
        shown = html.figure(f"step {int(file.parent.name)}", picture)
        strips.setdefault(file.stem, []).append(shown)
    return {name: figures for name, figures in strips.items() if len(figures) > 1}


def _evolution(strips: Mapping[str, Sequence[str]]) -> str:
    return "\n".join(
        html.title(name.replace("_", " "), 3) + html.strip(figures)
        for name, figures in strips.items()
    )


def _left(files: Pictures) -> str:
    """Return which files are not shown; empty where all are."""
    if not files.left:
        return ""
    named = some(files.left, MOST_NAMED, str)
    return html.note(f"Not shown, since they are links, not pictures or too large: {named}.")


def _details(result: Mapping[str, Any]) -> list[str]:
    parts = []
    for name, content in result.get("details", {}).items():
        parts.extend(_section(name.replace("_", " ").capitalize(), html.value(content)))
    return parts


def _fields(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, html.words(value)) for name, value in config.items()]
