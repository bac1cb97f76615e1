"""A run's metrics over its steps, as SVG pictures."""

import io
import json
from collections.abc import Iterator, Mapping

import matplotlib
from matplotlib.figure import Figure

from common.evaluation.tables import heading, is_share
from common.paths import AnyPath
from common.training.writers import PREFIX

INCHES = (4.6, 2.6)
TIMES = ("seconds", "steps_per_second")
STYLE = {
    "svg.fonttype": "none",  # letters stay letters
    "svg.hashsalt": "promptax",  # the same curves give the same file
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
}
Curve = list[tuple[int, float]]


def read_curves(file: AnyPath) -> dict[str, Curve]:
    """Each metric of a `metrics.jsonl` as (step, value); nothing where there is no file."""
    found: dict[str, Curve] = {}
    if not file.exists():
        return found
    for text in file.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        for name, value in line.items():
            if name not in ("step", *TIMES) and value is not None:
                found.setdefault(name, []).append((line["step"], float(value)))
    return found


def pictures(curves: Mapping[str, Curve], own: str = "this run") -> Iterator[tuple[str, str]]:
    """Titles and SVGs of the metrics that have two steps or more.

    Metrics whose names end alike stand in one picture: `loss`, the run's own, and `ti/loss`.

    Args:
      curves: What `read_curves` gives.
      own: What the run's own curve is called where others stand beside it.
    """
    together: dict[str, dict[str, Curve]] = {}
    for name, curve in curves.items():
        if len(curve) > 1:
            group, _, last = name.removeprefix(PREFIX).rpartition("/")
            title = f"evaluation: {last}" if name.startswith(PREFIX) else last
            together.setdefault(title, {})[group or own] = curve
    for title, group in together.items():
        # In this order a variant has one colour in all pictures that show the same ones.
        ordered = {name: group[name] for name in sorted(group, key=lambda x: (x != own, x))}
        yield heading(title), _draw(ordered, 100.0 if is_share(title) else 1.0)


def _draw(group: Mapping[str, Curve], factor: float) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=INCHES, layout="constrained")
        axes = figure.subplots()
        for name, curve in group.items():
            steps, values = zip(*curve, strict=True)
            axes.plot(steps, [factor * value for value in values], label=name)
        axes.set_xlabel("step")
        if len(group) > 1:
            figure.legend(frameon=False, loc="outside right upper")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
