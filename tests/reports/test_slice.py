"""Settings and slices: the fields that name a setting, and the axes that a slice fixes."""

from dataclasses import replace

from reports.views.findings.configuration import settings
from reports.views.findings.slice import slice_panel
from reports.views.studies import adjoint
from tests.support.made import RK4, a_cell, plain


def test_a_setting_is_named_by_the_fields_that_differ():
    cells = [a_cell(), a_cell(replace(RK4, problem="exp_sin")), a_cell(replace(RK4, device="cuda"))]
    assert list(settings(cells)) == ["cosine, cpu", "exp_sin, cpu", "cosine, cuda"]
    assert list(settings(cells[:2])) == ["cosine", "exp_sin"]


def test_a_field_that_follows_from_the_problem_is_not_named():
    cells = [a_cell(), a_cell(replace(RK4, problem="spiral", horizon=25.0))]
    assert list(settings(cells)) == ["cosine", "spiral"]


def test_a_slice_of_a_full_product_fixes_the_other_axes_in_their_middle():
    cells = [
        a_cell(replace(RK4, dt=None, rtol=rtol, atol=rtol, horizon=t, n_outputs=n, gradient="backprop"), peak_bytes=t)
        for rtol in (1e-3, 1e-5, 1e-7)
        for t in (1.0, 5.0, 10.0)
        for n in (2, 11, 101)
    ]
    memory = slice_panel(adjoint.SLICES[1], cells)
    assert plain(memory.title) == "rtol = 1e-05, atol = 1e-05, 11 outputs"
    assert memory.lines[0].points == ((1.0, 1.0), (5.0, 5.0), (10.0, 10.0))
    assert memory.x.ticks == (1.0, 5.0, 10.0)


def test_a_slice_of_a_star_fixes_the_other_axes_at_its_centre():
    centre = replace(RK4, horizon=1.5, n_outputs=11, gradient="backprop")
    horizons = [replace(centre, horizon=t) for t in (5.0, 10.0)]
    outputs = [replace(centre, n_outputs=n) for n in (2, 101)]
    memory = slice_panel(adjoint.SLICES[1], [a_cell(each, peak_bytes=1.0) for each in (centre, *horizons, *outputs)])
    assert [x for x, _ in memory.lines[0].points] == [1.5, 5.0, 10.0]
