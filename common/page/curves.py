"""A run's metrics over its steps, as SVG pictures."""

import io
import json
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np

from common.damage import DAMAGED
from common.evaluation.tables import heading, is_share
from common.page.contents import read_own
from common.paths import AnyPath
from common.progress import say
from common.text import counted, printable, shortened
from common.training.writers import PREFIX

INCHES = (4.6, 2.6)
TIMES = ("seconds", "steps_per_second", "flop_utilisation")
INK = "#010203"
"""Stands for the colour of the page's text, which a picture takes over."""

STYLE = {
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "promptax",  # the same curves give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.fontsize": 8,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}
LARGEST_FILE = 2**28
"""Bytes of `metrics.jsonl` that are read."""

MOST_PICTURES = 24
MOST_CURVES = 12
"""Of a picture. Drawing takes a tenth of a second each; what is more becomes rows of a table."""

MOST_POINTS = 2000
LONGEST_NAME = 28
EVALUATED = "evaluation: "
"""In front of the titles of what evaluations measured."""

# Beyond it the arithmetic of axes overflows; no metric is so large.
_LARGEST = 1e100
_LAST_STEP = 2**53

Curve = list[tuple[int, float]]


def read_curves(file: AnyPath) -> dict[str, Curve]:
    """Return each metric of a `metrics.jsonl` as (step, value); nothing where there is no file.

    Lines that are none of a run's, such as half of one, are passed over, and how many is said.
    """
    curves: dict[str, Curve] = {}
    content = read_own(file.parent, file, LARGEST_FILE)
    odd = 0
    for text in (content or b"").decode("utf-8", "replace").split("\n"):
        if not text.strip():
            continue
        line = _line(text)
        odd += line is None
        for name, value in (line or {}).items():
            if name not in ("step", *TIMES) and value is not None:
                if _is_number(value):
                    curves.setdefault(name, []).append((int(line["step"]), float(value)))
                else:
                    odd += 1
    if odd:
        unread = counted(odd, "line or value", "lines or values")
        say(f"{file} holds {unread} that no run writes: passed over.")
    return curves


def _line(text: str) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except DAMAGED:
        return None
    step = line.get("step") if isinstance(line, dict) else None
    whole = _is_number(step) and 0 <= step < _LAST_STEP and step == int(step)
    return line if whole else None


def _is_number(value: object) -> bool:
    # Written so that a NaN is none.
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) < _LARGEST


def pictures(
    curves: Mapping[str, Curve],
    run: str = "this run",
    baselines: Mapping[str, Mapping[str, float | None]] = MappingProxyType({}),
) -> Iterator[tuple[str, str]]:
    """Yield titles and SVGs of the metrics with two steps or more that are not in `further`.

    Metrics whose names end alike stand in one picture: `loss`, the run's own, and `ti/loss`.

    Args:
      curves: What `read_curves` gives.
      run: What the run's own curve is called where others stand beside it.
      baselines: Metrics by name of what the run is compared with, which become horizontal lines
        beside the evaluations of the run.
    """
    for title, group in list(_together(curves, run).items())[:MOST_PICTURES]:
        drawn = dict(list(group.items())[:MOST_CURVES])
        levels = list(_levels(title, drawn, run, baselines).items())[: MOST_CURVES - len(drawn)]
        yield heading(title), _draw(drawn, title, run, dict(levels))


def further(curves: Mapping[str, Curve], run: str = "this run") -> list[list[str]]:
    """Return rows about the curves that `pictures` omits: name, first, last, least, greatest."""
    rows = []
    for number, (title, group) in enumerate(_together(curves, run).items()):
        left = list(group.items())[MOST_CURVES if number < MOST_PICTURES else 0 :]
        for name, curve in left:
            values = [value for _, value in curve]
            shown = (values[0], values[-1], min(values), max(values))
            label = title if name == run else f"{title}, {name}"
            rows.append([label, *(f"{value:.4g}" for value in shown)])
    return rows


def _together(curves: Mapping[str, Curve], run: str) -> dict[str, dict[str, Curve]]:
    together: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        if len(curve) > 1:
            group, _, last = name.removeprefix(PREFIX).rpartition("/")
            title = f"{EVALUATED}{last}" if name.startswith(PREFIX) else last
            together.setdefault(title, {})[group or run] = curve
    # In this order a variant has one colour in all pictures that show the same ones.
    return {
        title: {name: group[name] for name in sorted(group, key=lambda x: (x != run, x))}
        for title, group in together.items()
    }


def _levels(
    title: str,
    group: Mapping[str, Curve],
    run: str,
    baselines: Mapping[str, Mapping[str, float | None]],
) -> dict[str, float]:
    """Return the baselines' values of the metrics of a picture of evaluations."""
    _, found, last = title.partition(EVALUATED)
    if not found:
        return {}
    levels = {}
    for part in group:
        metric, suffix = (last, "") if part == run else (f"{part}/{last}", f", {part}")
        for name, metrics in baselines.items():
            if _is_number(value := metrics.get(metric)):
                levels[name + suffix] = value
    return levels


def _draw(group: Mapping[str, Curve], title: str, run: str, levels: Mapping[str, float]) -> str:
    factor = 100.0 if is_share(title) else 1.0
    # Here, since a report without pages need not wait for them.
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Of letters that the font lacks: those of the page's reader show them.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        for curve in group.values():
            steps, values = zip(*_thinned(curve), strict=True)
            axes.plot(steps, [factor * value for value in values])
        for number, value in enumerate(levels.values(), start=len(group)):
            axes.axhline(factor * value, color=f"C{number}", linestyle="--", linewidth=1)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
        name = printable(shortened(heading(title.rpartition(": ")[2]), LONGEST_NAME))
        axes.set_ylabel(name, parse_math=False)
        if (named := [*group, *levels]) != [run]:
            legend = figure.legend(
                axes.get_lines(), map(_label, named), frameon=False, loc="outside right upper"
            )
            for text in legend.get_texts():
                text.set_parse_math(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace(f": {INK}", ": currentColor")


def _label(name: str) -> str:
    return printable(shortened(name, LONGEST_NAME)) or "-"


def _thinned(curve: Curve) -> Curve:
    """Return least and greatest of each stretch of a long curve, which a picture can show."""
    if len(curve) <= MOST_POINTS:
        return curve
    values = np.array([value for _, value in curve])
    kept = {0, len(curve) - 1}
    for part in np.array_split(np.arange(len(curve)), MOST_POINTS // 2):
        kept |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
    return [curve[place] for place in sorted(kept)]
