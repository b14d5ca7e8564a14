"""The drawing of panels as SVG, once for a light and once for a dark page."""

import io
import re
from collections.abc import Sequence
from typing import Any

import pandas

from reports.palette import Colour, colour_of, stroke_of
from reports.plotting import Axes, Figure, FigureCanvasAgg, Line2D, as_shipped, seaborn
from reports.ticks import set_ticks
from reports.views.parts.figure import Line, Panel
from results.escaping import one_line

WIDE, SQUARE = (4.8, 3.7), (2.9, 2.9)  # inches: legible when a phone shrinks them to 350 pixels
INKS = INK, FAINT, GRID = (
    Colour("#1f2937", "#e5e9ef"),  # text
    Colour("#8b95a3", "#7c8796"),  # axes
    Colour("#e5e8ec", "#2b323c"),  # grid
)
LABEL_GAP = 0.052  # least distance of two labels at line ends, in heights of the axes
BAND = 0.16  # opacity of the band around a line
LABEL_LEFT = 1.05  # where the labels at line ends begin, in widths of the axes


def drawings(panel: Panel) -> tuple[str, str]:
    """The panel as SVG documents on a transparent ground, for a light and for a dark page.

    It is drawn once: the dark drawing is the light one with other colours. Equal panels give equal text.
    """
    light = _drawn(panel)
    tones = {colour.light: colour.dark for colour in (*INKS, *(colour_of(line.hue) for line in panel.lines))}
    return light, re.sub("|".join(tones), lambda match: tones[match[0]], light)


def _drawn(panel: Panel) -> str:
    with as_shipped(settings()):
        figure = Figure(figsize=SQUARE if panel.square else WIDE, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        draw(panel, axes)
        frame(axes, panel)
        label_ends(axes, panel.lines)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def settings() -> dict[str, Any]:
    """matplotlib's settings for the drawings of the page, in its light colours."""
    return {
        **seaborn.axes_style("ticks"),
        **seaborn.plotting_context("paper"),
        "font.family": "DejaVu Sans",
        "svg.hashsalt": "nodebench",
        "text.color": INK.light,
        "text.parse_math": False,  # a name with dollars is no formula
        "axes.labelcolor": INK.light,
        "axes.edgecolor": FAINT.light,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 9.5,
        "axes.labelsize": 9.5,
        "grid.color": GRID.light,
        "grid.linewidth": 0.7,
        "xtick.color": FAINT.light,
        "ytick.color": FAINT.light,
        "xtick.labelcolor": INK.light,
        "ytick.labelcolor": INK.light,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
    }


def draw(panel: Panel, axes: Axes) -> None:
    """Draw every line as it is given: its points are neither sorted nor averaged."""
    for line in panel.lines:
        if line.band:
            x, (low, high) = [x for x, _ in line.points], zip(*line.band, strict=True)
            axes.fill_between(x, low, high, color=colour_of(line.hue).light, alpha=BAND, linewidth=0)
    lines = enumerate(panel.lines)
    points = [(i, line.hue, line.style, line.width, *point) for i, line in lines for point in line.points]
    styles = {line.style: stroke_of(line.style) for line in panel.lines}
    seaborn.lineplot(
        pandas.DataFrame(points, columns=["line", "hue", "style", "width", "x", "y"]),
        x="x",
        y="y",
        units="line",
        hue="hue",
        palette={line.hue: colour_of(line.hue).light for line in panel.lines},
        style="style",
        dashes={name: stroke.dashes or "" for name, stroke in styles.items()},
        markers={name: stroke.marker for name, stroke in styles.items()} if panel.markers else None,
        size="width",
        sizes={line.width: line.width for line in panel.lines},
        markersize=4.5,
        markeredgewidth=0,
        estimator=None,
        sort=False,
        legend=False,
        ax=axes,
    )


def frame(axes: Axes, panel: Panel) -> None:
    """Set scales, ranges, ticks and titles. The title of y is above the axes, where it can be read upright."""
    axes.set(
        xlabel=panel.x.label,
        ylabel="",
        title=panel.y.label,
        xscale="log" if panel.x.log else "linear",
        yscale="log" if panel.y.log else "linear",
    )
    if panel.square:
        axes.set_aspect("equal", adjustable="datalim")
        axes.apply_aspect()
    else:
        axes.set_xlim(left=None if panel.x.log else 0)
        axes.set_ylim(bottom=None if panel.y.log else 0)
    axes.xaxis.set_inverted(panel.x.reversed)
    set_ticks(axes.xaxis, panel.x)
    set_ticks(axes.yaxis, panel.y)


def label_ends(axes: Axes, lines: Sequence[Line], *, size: float = 9, gap: float = LABEL_GAP) -> None:
    """Write each label beside its line's last point, moved up or down until no label covers another.

    size: of the letters, points. gap: between two labels, in heights of the axes.
    """
    labelled = [line for line in lines if line.label]
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform(line.points[-1]) for line in labelled]
    for line, (x, y), height in zip(labelled, ends, spread([y for _, y in ends], gap), strict=True):
        tone = colour_of(line.hue).light
        leader = ([x + 0.015, LABEL_LEFT - 0.01], [y, height])
        axes.add_line(Line2D(*leader, color=tone, linewidth=0.6, transform=axes.transAxes, clip_on=False))
        said = one_line(line.label)
        axes.text(LABEL_LEFT, height, said, color=tone, fontsize=size, va="center", transform=axes.transAxes)


def spread(heights: Sequence[float], gap: float = LABEL_GAP) -> list[float]:
    """The heights moved as little as needed to be the gap apart, in the same order."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed: dict[int, float] = {}
    floor = 0.0
    for rank, index in enumerate(order):
        ceiling = 1 - gap * (len(order) - 1 - rank)  # room for the labels above
        placed[index] = max(floor, min(heights[index], ceiling))
        floor = placed[index] + gap
    return [placed[index] for index in range(len(heights))]
