"""Solves with the other libraries: as many steps as with node, no needless call, and their best form."""

import re
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest
import torch
import torchdiffeq

from bench.backends import BACKENDS
from bench.backends.grid import grid
from bench.backends.torchdiffeq import stops_at
from bench.measures.accuracy import errors
from bench.measures.counts import count
from bench.problems import PROBLEMS
from bench.sweep.file import load_sweep, shipped
from bench.sweep.remarks import remarks
from results.records import Cell
from tests.support.places import EXAMPLES

FIXED = Cell(problem="spiral", backend="torchdiffeq", solver="rk4_38", horizon=1.5, n_outputs=11, dt=0.05)
COSINE = replace(FIXED, problem="cosine", solver="euler")
ADAPTIVE = replace(FIXED, solver="dopri8", dtype="float64", dt=None, rtol=1e-7, atol=1e-9)
DIVIDED = [(0.225, 10, 0.025), (1.0, 11, 0.1), (1.1, 12, 0.1), (0.7, 8, 0.1), (8.0, 9, 0.125), (1.5, 11, 0.05)]


def counted(cell: Cell) -> dict[str, float]:
    return count(cell, BACKENDS[cell.backend].prepare(cell, PROBLEMS[cell.problem]))


def error(cell: Cell) -> float:
    problem = PROBLEMS[cell.problem]
    return errors(cell, problem, BACKENDS[cell.backend].prepare(cell, problem))[0]["error"]


@pytest.mark.parametrize(("horizon", "n_outputs", "dt"), DIVIDED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_solve_whose_dt_divides_the_output_times_takes_one_call_per_stage(horizon, n_outputs, dt, dtype):
    for backend in BACKENDS:
        cell = replace(FIXED, backend=backend, horizon=horizon, n_outputs=n_outputs, dt=dt, dtype=dtype)
        assert counted(cell)["nfe_forward"] == 4 * round(horizon / dt)


@pytest.mark.parametrize(("horizon", "n_outputs", "dt"), DIVIDED)
def test_the_adjoint_takes_as_many_steps_backwards(horizon, n_outputs, dt):
    cell = replace(COSINE, gradient="adjoint", horizon=horizon, n_outputs=n_outputs, dt=dt)
    assert counted(cell)["vjp_backward"] == round(horizon / dt)


@pytest.mark.parametrize("dt", [0.07, 0.4, 2.0])
def test_a_last_shorter_step_is_one_step_in_each_library(dt):
    cells = [replace(COSINE, backend=backend, n_outputs=2, dt=dt) for backend in BACKENDS]
    assert {counted(cell)["nfe_forward"] for cell in cells} == {-(-1.5 // dt)}


def test_a_time_that_a_step_meets_up_to_rounding_is_itself_a_grid_point():
    times = torch.linspace(0, 1.1, 12, dtype=torch.float64).tolist()
    assert grid(0.1, times) == times
    assert grid(0.1, times[::-1]) == times[::-1]
    assert grid(0.4, [0.0, 0.5, 1.0]) == [0.0, 0.4, 0.8, 1.0]


def test_between_steps_a_method_of_order_four_keeps_its_order():
    off = [replace(FIXED, dtype="float64", n_outputs=8, dt=1.5 / steps) for steps in (60, 120)]
    assert error(off[0]) > 12 * error(off[1])


@pytest.mark.parametrize("solver", ["bosh3", "dopri8"])
def test_pairs_that_interpolate_badly_step_to_the_outputs(solver):
    cell = replace(ADAPTIVE, problem="lotka_volterra", horizon=5.0, solver=solver)
    assert error(cell) < 1e-4


@pytest.mark.parametrize(("n_outputs", "rtol"), [*product([11, 26], [1e-6, 1e-7, 1e-8])])
def test_every_output_that_is_to_be_stepped_to_is_the_end_of_a_step(n_outputs, rtol):
    """torchdiffeq 0.2.5 steps to no output after one that a step has met by chance, as happens at 26 outputs."""
    instance = PROBLEMS["spiral"].instance(replace(ADAPTIVE, n_outputs=n_outputs))
    ends: list[float] = []
    instance.field.callback_accept_step = lambda t0, y0, dt: ends.append((t0 + dt).item())
    stops = stops_at(instance.t)
    options = {"step_t": stops}
    torchdiffeq.odeint(instance.field, instance.y0, instance.t, rtol=rtol, atol=rtol, method="dopri8", options=options)
    assert all(min(abs(end - stop) for end in ends) < 1e-15 for stop in stops.tolist())
    torch.testing.assert_close(stops, instance.t[1:], rtol=0, atol=2e-12)


@pytest.mark.parametrize("name", shipped())
def test_the_steps_of_shipped_sweeps_divide_their_times(name):
    said = remarks([planned.cell for planned in load_sweep(name).planned])
    assert not [line for line in said if "the end time" in line]
    assert len([line for line in said if line.startswith("dt")]) == (name == "training")  # coarse on purpose


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dt": 0.4}, "dt = 0.4 does not divide the end time 1.5: the last step is 0.3; take 0.375"),
        ({"dt": 0.3}, "dt = 0.3 does not divide 0.15, the time between 11 outputs: they are interpolated"),
        ({"dt": 2.0}, "dt = 2 does not divide the end time 1.5: the last step is 1.5; take 1.5"),
        ({"dt": 1e-308, "horizon": 1e308}, ""),
    ],
)
def test_a_step_that_does_not_fit_is_reported_in_one_line(changes, said):
    lines = [line for line in remarks([replace(FIXED, **changes)]) if line.startswith("dt")]
    assert lines == ([said] if said else [])


def test_of_many_steps_that_do_not_fit_three_are_named():
    lines = remarks([replace(FIXED, backend="node", dt=1.5 / (steps + 0.5)) for steps in range(1, 10)])
    assert len(lines) == 4
    assert re.fullmatch(r"\.\.\. and 6 more steps that do not fit", lines[-1])


@pytest.mark.exhaustive
def test_the_script_reproduces_the_tables_of_the_docs():
    script = EXAMPLES / "peers"
    command = [sys.executable, str(script), "--problem", "lotka_volterra", "--outputs", "11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=True)
    (row,) = (line.split() for line in done.stdout.splitlines() if line.startswith("lotka_volterra  dopri8  1e-07"))
    assert row[-1] == "each"
    assert float(row[-2]) < 1e-3 * float(row[-4])
