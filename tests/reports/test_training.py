"""The quantities derived from training curves, and the section that shows them."""

import math
from dataclasses import replace

import numpy as np
import pytest

from reports.figures import drawings
from reports.views.findings.learning import TARGET
from reports.views.findings.trained import optimiser, trained, whole_seconds
from reports.views.parts.figure import Axis, Line, Panel, drawable
from reports.views.studies import spiral
from results.statistics.training import Band, Range, common_target, rounded_up, time_to
from tests.support.made import plain
from tests.support.trained import CELL, INF, LOSSES, NAN, RK4, learned, one, seeds


@pytest.mark.parametrize(
    ("losses", "target", "seconds"),
    [
        ([8, 4, 2, 1], 4, 1.0),  # a point at the target
        ([8, 4, 2, 1], 1, 3.0),
        ([8, 4, 2, 1], math.sqrt(8), 1.5),  # halves in each second: at 2^-1.5 of 8 after 1.5
        ([8, 4, 2, 1], 10, 0.0),  # below from the start
        ([8, 4, 2, 1], 0.5, INF),
        ([8, 1, 8, 1], 4, 1 / 3),  # the first time counts
        ([8, NAN, 2, 1], 4, 2.0),  # nothing to interpolate from
        ([INF, 2, 1, 1], 4, 1.0),
        ([8, 0, 0, 0], 4, 1.0),
        ([NAN, INF, 8, 8], 4, INF),
        ([], 4, INF),
    ],
)
def test_the_time_to_a_loss_is_interpolated_exponentially_between_the_known_points(losses, target, seconds):
    assert time_to(range(len(losses)), losses, target) == pytest.approx(seconds)


def test_the_time_to_a_loss_of_an_exponential_is_exact_however_few_points_are_known():
    t = np.array([0.0, 0.3, 5.0, 9.0])
    for target in np.geomspace(0.02, 2.9, 9):
        assert time_to(t, 3 * np.exp(-t / 1.7), target) == pytest.approx(1.7 * math.log(3 / target))


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (1.0, 1.0),
        (1.0001, 2.0),
        (2.0, 2.0),
        (3.0, 5.0),
        (5.1, 10.0),
        (0.07, 0.1),
        (0.02, 0.02),
        (0.2, 0.2),
        (999, 1000),
    ],
)
def test_a_target_is_one_two_or_five_times_a_power_of_ten(value, rounded):
    assert rounded_up(value) == rounded


@pytest.mark.parametrize(
    ("reached", "initial", "target"),
    [
        ([0.3], [7.0], 0.5),
        ([0.3, 0.9], [7.0, 7.0], 1.0),  # both of two
        ([0.3, 0.4, 6.0], [7.0] * 3, 0.5),  # a cell that learns nothing does not count
        ([0.3, 0.4, 6.0, INF], [7.0] * 4, None),  # half is not more than half
        ([0.3, 0.4, 0.45, INF], [7.0] * 4, 0.5),
        ([6.0, 6.0], [7.0, 6.5], None),  # a target above the initial loss does not count
        ([NAN, NAN], [7.0], None),
        ([0.0], [7.0], None),
        ([], [], None),
    ],
)
def test_the_target_is_the_least_round_loss_that_more_than_half_of_the_configurations_reach(reached, initial, target):
    assert common_target(reached, initial) == target


def test_a_range_leaves_out_nan_and_counts_infinite_numbers():
    assert Range.of([3.0, NAN, 1.0, 2.0]) == Range(2.0, 1.0, 3.0, 3)
    assert Range.of([1.0, 2.0]).median == 1.5
    assert Range.of([1.0, INF, INF]) == Range(INF, 1.0, INF, 3)
    assert Range.of([INF, INF]).median == INF
    assert Range.of([NAN]).n == 0
    assert Range.of([1.0, 3.0]).overlaps(Range.of([3.0, 4.0]))
    assert not Range.of([1.0, 2.0]).overlaps(Range.of([3.0, 4.0]))


def test_a_band_is_the_median_and_the_range_of_the_seeds_at_each_point():
    band = Band.of([(np.arange(3.0), np.array([1.0, 5.0, 3.0])), (np.arange(3.0) * 3, np.array([2.0, 1.0, 9.0]))] * 2)
    assert (band.x.tolist(), band.median.tolist()) == ([0, 2, 4], [1.5, 3, 6])
    assert (band.low.tolist(), band.high.tolist()) == ([1, 1, 3], [2, 5, 9])
    assert len(Band.of([(np.arange(3.0), np.ones(3)), (np.arange(2.0), np.ones(2))]).x) == 2


def test_cells_that_differ_in_the_seed_alone_are_one_configuration():
    others = [replace(CELL, optimiser="SGD"), replace(CELL, learning_rate=0.1), replace(CELL, dt=0.05), RK4]
    ((title, choices),) = trained([*seeds(finals=(1.0, 3.0, 2.0)), *map(learned, others)]).items()
    assert title == "spiral_net"
    assert [len(choice.seeds) for choice in choices] == [3, 1, 1, 1, 1]
    assert choices[0].final_loss == Range(2.0, 1.0, 3.0, 3)
    assert len(trained([learned(), learned(replace(CELL, iterations=8))])) == 2


def test_seconds_of_the_whole_loss_are_those_after_as_many_iterations():
    seconds, losses = whole_seconds(learned(second_s=3.0))
    assert (seconds.tolist(), losses.tolist()) == ([0, 6, 12], list(LOSSES))
    assert one([learned(second_s=3.0)]).to(2.0) == Range(6.0, 6.0, 6.0, 1)
    several = [learned(replace(CELL, seed=seed), second_s=seed + 1.0) for seed in range(3)]
    assert one(several).to(2.0) == Range(4.0, 2.0, 6.0, 3)


def test_an_optimiser_is_named_with_its_rate_and_the_default_is_not_named():
    assert plain(optimiser(CELL)) == "Adam 0.01"
    assert optimiser(replace(CELL, learning_rate=None)) == "Adam"
    assert plain(optimiser(replace(CELL, optimiser=""))) == "own 0.01"
    assert optimiser(replace(CELL, optimiser="", learning_rate=None)) == ""


def test_the_section_draws_seeds_as_a_median_and_its_band_over_iterations_and_seconds():
    section = spiral.section("spiral", [*seeds(finals=(1.0, 2.0, 1.5)), learned(RK4)])
    loss, batches, calls = section.figures
    iterations, seconds = loss.panels
    banded, plain_line, target = iterations.lines
    assert banded.points == ((0, 8), (2, 4), (4, 1.5))
    assert banded.band == ((8, 8), (4, 4), (1, 2))
    assert (plain_line.hue, plain_line.band) == ("rk4", ())
    assert (target.hue, target.points) == (TARGET, ((0, 2), (4, 2)))
    assert [x for x, _ in seconds.lines[0].points] == [0, 2, 4]
    assert [panel.x.label for panel in (*batches.panels, *calls.panels)] == ["iteration", "iteration"]


def test_nfe_is_drawn_backwards_where_a_mode_calls_backwards():
    cell = learned()
    x, y = cell.curves["nfe"]
    backwards = replace(cell, curves={**cell.curves, "nfe": (x, y + np.array([0.0, 5.0, 0.0]))})
    assert [p.y.label for p in spiral.section("spiral", [cell]).figures[-1].panels] == ["NFE, forward"]
    panels = spiral.section("spiral", [backwards]).figures[-1].panels
    assert [(p.y.label, p.lines[0].points) for p in panels] == [
        ("NFE, forward", ((0, 9), (3, 9))),
        ("NFE, backward", ((0, 5), (3, 5))),
    ]


def test_a_band_is_drawn_without_the_points_that_an_axis_cannot_show():
    x, y = Axis("x", log=False), Axis("y")
    line = Line("rk4", "", ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0)), band=((0.5, 2.0), (0.0, 3.0), (2.0, 4.0)))
    (kept,) = drawable([line], x, y)
    assert kept.points == ((0.0, 1.0), (2.0, 3.0))
    assert kept.band == ((0.5, 2.0), (2.0, 4.0))
    light, dark = drawings(Panel("", x, y, (kept,), markers=False))
    bare, _ = drawings(Panel("", x, y, (replace(kept, band=()),), markers=False))
    assert light.count("fill-opacity") == dark.count("fill-opacity") == bare.count("fill-opacity") + 1


def test_the_report_says_what_survives_and_shows_seeds_as_one_row(content):
    section = next(each for each in content.sections if each.study == "spiral")
    survive = next(each for each in section.answers if "another solver" in each.question)
    assert survive.sentence.startswith("45 of 60 models survive; one of euler ")
    training, survival = section.tables
    assert len(training.rows) == 20
    assert len(survival.rows) == 40
    verdicts = {(row.values[0].text, row.values[-1].text) for row in survival.rows}
    assert verdicts == {
        (solver, "0 of 3 survive" if solver == "euler" else "3 of 3 survive")
        for solver in ("euler", "rk4", "dopri5", "bosh3")
    }
