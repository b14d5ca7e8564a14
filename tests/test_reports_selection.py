from dataclasses import replace

import pytest
import synthetic
import synthetic_cells
from made import RK4

from reports.views.overview import overview
from reports.views.selection import ReportError, select
from results.pytest_benchmark import SWEEP as IMPORTED
from results.records import Cell, Environment, Planned, Trial


def begin(store, run_id: str, cell: Cell, *, started_at: float, name: str = "one", machine: str = "here") -> None:
    run = replace(synthetic.run(run_id, started_at=started_at, name=name), environment=Environment({"cpu": machine}))
    store.begin(run, [Planned("solvers", cell)])
    store.record(
        run_id, Trial(cell_key=cell.key, kind="accuracy", started_at=started_at, metrics={"error": started_at})
    )


def test_the_newest_run_of_each_sweep_in_the_newest_environment_is_shown(store):
    old, new, other_sweep = (replace(RK4, dt=dt) for dt in (0.1, 0.2, 0.3))
    begin(store, "a", old, started_at=1.0)
    begin(store, "b", new, started_at=2.0)
    begin(store, "c", other_sweep, started_at=3.0, name="two")
    assert set(select(store).cells) == {new.key, other_sweep.key}
    begin(store, "d", old, started_at=4.0, machine="there")
    assert set(select(store).cells) == {old.key}


def test_what_another_harness_has_timed_is_in_no_report(store):
    begin(store, "a", RK4, started_at=1.0)
    timed = Cell(problem="test_a.py", backend=IMPORTED, solver="test_solve", horizon=0.0, n_outputs=0)
    begin(store, "b", timed, started_at=2.0, name=IMPORTED, machine="there")
    begin(store, "c", timed, started_at=3.0, name=IMPORTED)
    selection = select(store)
    assert set(selection.cells) == {RK4.key}
    assert list(selection.runs["run_id"]) == ["a"]


def test_imported_runs_alone_make_no_report(store):
    begin(store, "a", RK4, started_at=1.0, name=IMPORTED)
    with pytest.raises(ReportError, match="holds no run: run `nodebench run` first"):
        select(store)


def test_a_cell_keeps_what_an_older_run_measured(store):
    begin(store, "a", RK4, started_at=1.0)
    store.begin(replace(synthetic.run("b", started_at=2.0, name="one"), environment=Environment({"cpu": "here"})),
                [Planned("solvers", RK4)])  # fmt: skip
    selection = select(store)
    assert selection.cells[RK4.key].value("error") == 1.0
    assert overview(selection).pending == ""


def test_cells_are_read_as_they_were_planned(measured):
    assert {key: each.cell for key, each in select(measured).cells.items()} == {
        one.cell.key: one.cell for one in synthetic_cells.plan()
    }
