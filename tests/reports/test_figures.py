"""Figures: panels as SVG, labels, legends, and the points that an axis can show."""

import itertools
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from reports.figures import INKS, LABEL_GAP, drawings, spread
from reports.palette import colour_of
from reports.views.parts.figure import Axis, Figure, Line, Panel, drawable, figures
from results import format as text

X, Y = Axis("step", text.tolerance), Axis("error", text.error)
LINES = (
    Line("rk4", "node", ((0.5, 1e-2), (0.25, 1e-3), (0.125, 1e-4)), label="rk4 4.0"),
    Line("dopri5", "torchdiffeq", ((0.5, 1e-3), (0.25, 1e-5), (0.125, 1e-7)), label="dopri5 5.0"),
)
PANEL = Panel("cosine", X, Y, LINES)


@pytest.mark.parametrize(
    "panel",
    [
        PANEL,
        replace(PANEL, x=replace(X, log=False), y=Axis("memory", text.size, log=False, base=1024)),
        replace(PANEL, square=True, markers=False, x=Axis("y1", log=False), y=Axis("y2", log=False)),
        replace(PANEL, x=replace(X, reversed=True, ticks=(0.125, 0.25, 0.5))),
        replace(PANEL, lines=(Line("rk4", "node", ((0.5, 1e-3),)),)),
        replace(PANEL, lines=(Line("rk4", "node", ((0.5, 300.0), (0.25, 310.0))),), y=Axis("calls", text.count)),
    ],
    ids=["logarithmic", "linear", "square", "reversed", "one point", "half a decade"],
)
def test_a_panel_becomes_a_valid_svg_in_light_and_in_dark(panel):
    for drawing in drawings(panel):
        assert ElementTree.fromstring(drawing).tag.endswith("svg")


def test_equal_panels_give_equal_drawings():
    assert drawings(PANEL) == drawings(replace(PANEL))


def test_the_light_and_the_dark_drawing_have_the_same_shapes_and_different_colours():
    light, dark = drawings(PANEL)
    colours = [*INKS, colour_of("rk4"), colour_of("dopri5")]
    assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)
    assert all(colour.light in light and colour.light not in dark and colour.dark in dark for colour in colours)


def test_a_drawing_loads_nothing_from_the_network():
    for drawing in drawings(PANEL):
        assert not re.search(r'(href|src)="(?!#)', drawing)


@pytest.mark.parametrize("heights", [[], [0.5], [0.5, 0.5, 0.5], [0.0, 0.01, 0.99, 1.0], [1.0] * 9])
def test_spread_labels_keep_their_order_and_their_distance(heights):
    placed = spread(heights)
    assert sorted(range(len(heights)), key=lambda i: (heights[i], i)) == sorted(
        range(len(placed)), key=placed.__getitem__
    )
    ordered = sorted(placed)
    assert all(high - low >= LABEL_GAP - 1e-9 for low, high in itertools.pairwise(ordered))
    assert all(0 <= height <= 1 + 1e-9 for height in placed)


def test_labels_with_room_stay_where_they_are():
    assert spread([0.1, 0.9, 0.5]) == [0.1, 0.9, 0.5]


def test_points_that_a_logarithmic_axis_cannot_show_are_not_drawn():
    points = ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0), (1.0, float("inf")))
    line = Line("rk4", "node", points)
    assert drawable([line], X, Y) == (replace(line, points=points[:1]),)
    assert drawable([line], replace(X, log=False), replace(Y, log=False)) == (replace(line, points=points[:3]),)
    assert drawable([replace(line, points=points[1:])], X, Y) == ()


def test_a_figure_without_a_line_is_left_out():
    assert figures("nothing", [replace(PANEL, lines=())]) == ()


def test_a_legend_names_each_hue_and_style_once():
    figure = Figure("", (PANEL, PANEL))
    assert (figure.hues, figure.styles) == (("rk4", "dopri5"), ("node", "torchdiffeq"))
