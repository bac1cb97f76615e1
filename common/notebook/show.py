"""What a notebook shows of a run, at the end of a cell."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from common.evaluation.tables import heading
from common.page import curves as page_curves
from common.page import html
from common.page.contents import Pictures
from common.paths import AnyPath, as_path
from common.report import read_run, report


@dataclass(frozen=True)
class CellOutput:
    """An expression's value that notebooks render; it needs no notebook package.

    Attributes:
      kind: "html" or "markdown".
      text: The content.
    """

    kind: str
    text: str = field(repr=False)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        del include, exclude
        return {f"text/{self.kind}": self.text, "text/plain": repr(self)}


def table(*workdirs: AnyPath | str) -> CellOutput:
    """Return the report on finished runs, as `python -m common.report` writes it."""
    return CellOutput("markdown", report([read_run(as_path(folder)) for folder in workdirs]))


def pictures(workdir: AnyPath | str) -> CellOutput:
    """Show every PNG that a run wrote."""
    figures = [
        html.figure(heading(file.stem), html.image(file.stem, kind, content))
        for file, kind, content in Pictures(as_path(workdir)).found("*.png")
    ]
    return _side_by_side(figures)


def curves(workdir: AnyPath | str) -> CellOutput:
    """Draw a run's metrics over its steps."""
    drawn = page_curves.pictures(page_curves.read_curves(as_path(workdir) / "metrics.jsonl"))
    return _side_by_side([html.figure(title, svg) for title, svg in drawn])


def _side_by_side(figures: Sequence[str]) -> CellOutput:
    return CellOutput(
        "html", f'<div style="display: flex; flex-wrap: wrap">{"".join(figures)}</div>'
    )
