"""Single figures in files, fit for a paper: with title, legend and names of the axes, and with text as text."""

import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reports.figures import INK, draw, frame, label_ends, settings
from reports.files import suffix_of, written
from reports.palette import colour_of, stroke_of
from reports.plotting import Axes, FigureCanvasAgg, Line2D, as_shipped
from reports.plotting import Figure as Drawing
from reports.ticks import set_ticks
from reports.views.named_figures import NamedFigure
from reports.views.parts.figure import Figure
from reports.views.wanted import ReportError
from results.escaping import one_line

WIDTHS = (1.0, 40.0)  # inches: the least and the greatest
DPI = 300  # of a picture in pixels
PANEL = 2.9  # inches: at least the width of a panel, and of a square one 2.0
_HEIGHT = 0.8  # of a panel, in its widths
_LINE = 0.19  # inches: the height of a line of the legend
_LETTER = 0.08  # inches: the width of a letter of a legend or a title, and some room

# A drawing that is the same whenever it is made has no date.
METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Creator": "nodebench"},
    ".svg": {"Date": None, "Creator": "nodebench"},
    ".png": {"Software": "nodebench"},
}


def save(named: NamedFigure, path: Path, *, width: float) -> None:
    """Draw the figure into a file, whose suffix says the format; `width` in inches. A ReportError if that is refused.

    Equal figures give equal files.
    """
    suffix = checked(path, width)
    facts = METADATA[suffix] | {"Title": one_line(named.title)}
    with as_shipped(_for_paper()), written(path, "pass another file with -o") as draft:
        drawn(named, width).savefig(draft, format=suffix[1:], dpi=DPI, metadata=facts)


def checked(path: Path, width: float) -> str:
    """The suffix of the file, if it is the one of a format, and the width is one of a page; else a ReportError."""
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        raise ReportError(f"a width of {width:g} inches: pass one from {WIDTHS[0]:g} to {WIDTHS[1]:g}")
    return suffix_of(path, METADATA)


def drawn(named: NamedFigure, width: float) -> Drawing:
    """The figure with its title, a grid of its panels, and a legend below."""
    figure = named.figure
    square = any(panel.square for panel in figure.panels)
    columns = min(len(figure.panels), max(1, int(width / (2.0 if square else PANEL))))
    rows = math.ceil(len(figure.panels) / columns)
    handles = list(_handles(figure))
    across, lines = _legend_grid([str(handle.get_label()) for handle in handles], width)
    titles = [textwrap.fill(one_line(panel.title), int(width / columns / _LETTER)) for panel in figure.panels]
    of_titles = max(said.count("\n") for said in titles) if len(titles) > 1 else 0
    title = textwrap.fill(one_line(named.title), int(width / _LETTER))
    lines += title.count("\n")
    height = rows * (width / columns * (1.0 if square else _HEIGHT) + _LINE * of_titles) + _LINE * (lines + 2)
    drawing = Drawing(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawing)
    for place, panel in enumerate(figure.panels, start=1):
        axes: Axes = drawing.add_subplot(rows, columns, place)
        draw(panel, axes)
        frame(axes, panel)
        if panel.square:  # the axes are as large as their data, whatever room the layout gives them
            axes.set_aspect("equal", adjustable="box")
            axes.autoscale()
            set_ticks(axes.xaxis, panel.x)
            set_ticks(axes.yaxis, panel.y)
        axes.set_title(titles[place - 1] if len(titles) > 1 else "")  # the only panel's is in the figure's
        axes.set_ylabel(panel.y.label)
        label_ends(axes, panel.lines, size=7, gap=0.075)
    drawing.suptitle(title, x=0.01, ha="left")
    drawing.legend(handles=handles, loc="outside lower left", ncols=across, frameon=False)
    return drawing


def _for_paper() -> dict[str, Any]:
    """The settings of a drawing on white. Text stays text: it can be searched, copied and set in another font."""
    sizes = {"axes.titlesize": 8.5, "axes.labelsize": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8}
    return {
        **settings(),
        **sizes,
        "figure.titlesize": 9.5,
        "legend.fontsize": 8,
        "font.family": "sans-serif",  # a viewer without our font takes the next of the list
        "svg.fonttype": "none",
        "pdf.fonttype": 42,  # TrueType: Type 3, the default, is refused by many journals
    }


def _handles(figure: Figure) -> Iterator[Line2D]:
    """The entries of the legend: a colour for each hue, then a stroke and a marker for each style."""
    for hue in figure.hues:
        yield Line2D([], [], color=colour_of(hue).light, linewidth=2, label=one_line(hue))
    marked = any(panel.markers for panel in figure.panels)
    for style in figure.styles:
        stroke = stroke_of(style)
        yield Line2D(
            [], [],
            color=INK.light, linestyle=(0, stroke.dashes) if stroke.dashes else "-", linewidth=1.2,
            marker=stroke.marker if marked else "", markersize=4.5, label=one_line(style),
        )  # fmt: skip


def _legend_grid(labels: Sequence[str], width: float) -> tuple[int, int]:
    """The number of columns of the legend that the width has room for, and of its lines."""
    widest = max((len(label) for label in labels), default=1) * _LETTER + 0.5
    across = max(1, min(len(labels), int(width / widest)))
    return across, math.ceil(len(labels) / across)
