"""A finished run as one HTML file: tables, curves, pictures, details and its config."""

from collections.abc import Mapping
from html import escape
from typing import Any

from common.evaluation.tables import Value, metric_groups, result_rows
from common.files import atomic_write
from common.page import html
from common.page.curves import pictures, read_curves
from common.paths import AnyPath
from common.training.writers import PICTURES


def write_page(folder: AnyPath, result: Mapping[str, Any], config: Mapping[str, Any]) -> AnyPath:
    """Writes `folder/report.html`, which needs no other file.

    Args:
      folder: A run's work directory, whose curves and pictures are shown.
      result: What its `result.json` holds.
      config: Its settings by dotted name; may be empty.
    """
    title = f"{result['method']} on {result['dataset']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="note">{escape(_origin(result))}</p>',
        *_tables(result),
        *_section("Over the steps", _curves(folder, result["method"])),
        *_section("Pictures", _pictures(folder)),
        *_section("Pictures over the steps", _evolution(folder)),
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
    rows = {
        name: {metric: Value(number) for metric, number in metrics.items()}
        for name, metrics in result_rows(result).items()
    }
    return [html.table(header, body, fold=False) for header, body in metric_groups(rows)]


def _section(title: str, content: str) -> list[str]:
    return [f"<h2>{escape(title)}</h2>", content] if content else []


def _curves(folder: AnyPath, own: str) -> str:
    found = pictures(read_curves(folder / "metrics.jsonl"), own)
    return "\n".join(html.figure(title, svg) for title, svg in found)


def _pictures(folder: AnyPath) -> str:
    files = sorted(folder.glob("*.png"))
    return "\n".join(html.figure(file.stem.replace("_", " "), html.image(file)) for file in files)


def _evolution(folder: AnyPath) -> str:
    """What was drawn at two evaluations or more, a strip for each picture."""
    strips: dict[str, list[str]] = {}
    for file in sorted((folder / PICTURES).glob("*/*.png")):
        shown = html.figure(f"step {int(file.parent.name)}", html.image(file))
        strips.setdefault(file.stem.replace("_", " "), []).append(shown)
    return "\n".join(
        f"<h3>{escape(name)}</h3>{html.strip(figures)}"
        for name, figures in strips.items()
        if len(figures) > 1
    )


def _details(result: Mapping[str, Any]) -> list[str]:
    parts = []
    for name, content in result.get("details", {}).items():
        parts.extend(_section(name.replace("_", " ").capitalize(), html.value(content)))
    return parts


def _fields(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, html.words(value)) for name, value in config.items()]
