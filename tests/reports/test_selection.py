"""The selection of the cells that a page shows, and the notices on those that it leaves out."""

from dataclasses import replace

import pytest

from reports.views.report import report
from reports.views.selection import select
from reports.views.studies.overview import overview
from reports.views.wanted import ReportError, Wanted
from results.read.where import Where
from results.records import Cell, Environment, Goal, Planned, Source, Trial
from results.store import Store
from results.tools import baselines
from results.tools.merge import merge
from results.tools.pytest_benchmark import SWEEP as IMPORTED
from tests.support import synthetic, synthetic_cells
from tests.support.made import RK4

OLD, NEW, OTHER = (replace(RK4, dt=dt) for dt in (0.1, 0.2, 0.3))


def begin(
    store, run_id: str, *cells: Cell, clock: float = 1.0, name: str = "one", machine: str = "here", text: str = "",
    code: Source | None = None, of: tuple[Cell, ...] | None = None, error: float = 1.0,
) -> None:  # fmt: skip
    """Record a run that plans the cells and measures the error of all, or of those in `of`, at the time `clock`."""
    where = Environment({"cpu": machine})
    run = replace(synthetic.run(run_id, started_at=clock, name=name), environment=where, sweep_text=text)
    store.begin(run, [Planned("solvers", cell) for cell in cells], [code] if code else [])
    source = code.key if code else None
    for cell in cells if of is None else of:
        trial = Trial(cell_key=cell.key, kind="accuracy", started_at=clock, metrics={"error": error}, source=source)
        store.record(run_id, trial)


def shown(store, **wanted) -> set[str]:
    return set(select(store, Wanted(**wanted)).cells)


def code(library: str) -> Source:
    return Source({"library": library, "adapter": "node 1", "problem": "cosine 1", "measure": "accuracy 1"})


def test_the_environment_of_the_run_that_was_recorded_last_is_shown_whatever_the_clocks_say(store):
    begin(store, "a", OLD, clock=9e9, machine="there", code=code("node 1"))
    begin(store, "b", NEW, clock=1.0, code=code("node 1"))
    selection = select(store)
    assert set(selection.cells) == {NEW.key}
    (said,) = selection.notices
    assert said.startswith("Not shown: what was measured in 1 other environment (")
    there = Environment({"cpu": "there"}).fingerprint
    assert there in said
    assert shown(store, environment=there[:6]) == {OLD.key}
    table = overview(selection).environments
    assert [row.values[1].text for row in table.rows] == ["yes", "no"]
    assert table.rows[1].values[4].text == "cpu there"


def test_trials_merged_from_another_machine_are_not_shown_in_place_of_our_own(store, tmp_path):
    begin(store, "ours", OLD)
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs:
        for run_id in ("a", "b", "c"):
            begin(theirs, run_id, NEW, machine="there")
        merge(store, theirs)
        assert shown(store) == {OLD.key}
        merge(theirs, store)
        assert shown(theirs) == {NEW.key}
    with Store.open(str(tmp_path / "both.db"), create=True) as both:
        merge(both, store)
        assert shown(both) == {NEW.key}, "nothing was recorded here: the newest of all"


def test_measured_cells_of_an_older_text_of_a_sweep_are_shown_and_unmeasured_ones_are_not(store):
    begin(store, "a", OLD, text="first")
    begin(store, "b", OTHER, text="second", of=())
    begin(store, "c", NEW, text="third")
    assert shown(store) == {OLD.key, NEW.key}
    begin(store, "d", OTHER, text="fourth", of=())
    assert shown(store) == {OLD.key, NEW.key, OTHER.key}
    said = {row.values[1].text: row.values[3].text for row in overview(select(store)).sweeps.rows}
    assert sorted(said.values()) == ["what was measured of it: it was edited since"] * 3 + ["yes"]


def test_two_files_of_one_name_are_two_sweeps(store):
    begin(store, "a", OLD, text="here")
    begin(store, "b", NEW, text="elsewhere")
    assert shown(store) == {OLD.key, NEW.key}
    sha = store.runs()["sweep_sha"].iloc[0]
    assert shown(store, sweeps=[sha[:8]]) == {OLD.key}
    assert shown(store, sweeps=["one"]) == {OLD.key, NEW.key}


def test_a_chosen_run_is_shown_alone_with_what_it_measured(store):
    begin(store, "abc", OLD, NEW, error=1.0)
    begin(store, "abd", OLD, error=2.0)
    assert select(store).cells[OLD.key].value("error") == 2.0
    selection = select(store, Wanted(runs=["abc"]))
    assert {key: cell.value("error") for key, cell in selection.cells.items()} == {OLD.key: 1.0, NEW.key: 1.0}


def test_a_baseline_is_shown_as_it_was_kept(store):
    begin(store, "a", OLD, error=1.0)
    baselines.keep(store, "good")
    begin(store, "b", OLD, error=2.0)
    assert select(store, Wanted(baseline="good")).cells[OLD.key].value("error") == 1.0


def test_only_the_cells_that_meet_the_condition_are_shown(store):
    begin(store, "a", OLD, NEW)
    assert shown(store, only=Where(dt=0.1)) == {OLD.key}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"environment": "zz"}, "no environment begins with 'zz': pass one of "),
        ({"runs": ["ab"]}, "2 run begins with 'ab': pass one of abc and abd"),
        ({"sweeps": ["onne"]}, "no run of a sweep 'onne'. Did you mean 'one'? There are: one"),
        ({"baseline": "god"}, "no baseline 'god'. Did you mean 'good'? There are: good"),
        ({"only": Where(dt=7.0)}, "no cell of these runs meets --only: leave it out, or pass other values"),
    ],
)
def test_a_choice_that_matches_nothing_is_refused_in_one_line(store, wanted, said):
    begin(store, "abc", OLD)
    begin(store, "abd", NEW)
    baselines.keep(store, "good")
    with pytest.raises(ReportError) as caught:
        select(store, Wanted(**wanted))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_runs_of_two_machines_are_not_shown_together(store):
    begin(store, "a", OLD)
    begin(store, "b", OLD, machine="there")
    with pytest.raises(ReportError, match="of several environments, which no page compares: pass --environment"):
        select(store, Wanted(runs=["a", "b"]))


def test_numbers_of_code_that_has_changed_since_are_history(store):
    begin(store, "a", OLD, NEW, code=code("node 1"))
    begin(store, "b", OLD, NEW, code=code("node 2"), of=(NEW,))
    selection = select(store)
    assert {key: cell.status for key, cell in selection.cells.items()} == {OLD.key: "pending", NEW.key: "ok"}
    (said,) = selection.notices
    assert said.startswith("1 cell was measured of code that has changed since: its numbers are history")
    assert select(store, Wanted(runs=["a"])).cells[OLD.key].status == "ok"


@pytest.mark.exhaustive
def test_numbers_from_before_the_code_was_recorded_count_until_their_library_is_measured_again(store):
    begin(store, "a", OLD, NEW)
    assert {cell.status for cell in select(store).cells.values()} == {"ok"}
    (said,) = select(store).notices
    assert said.startswith("2 cells were measured by an older nodebench, which kept no hash of the code")
    begin(store, "b", OLD, NEW, code=code("node 1"), of=(NEW,))
    assert select(store).cells[OLD.key].status == "pending"


def test_a_page_of_a_library_that_has_changed_here_says_so(store):
    begin(store, "a", OLD, code=code("node 1"))
    assert select(store, Wanted(here=lambda cells: [code("node 1")])).notices == ()
    (said,) = select(store, Wanted(here=lambda cells: [code("node 2")])).notices
    assert said.startswith("node has changed here since: what is shown")
    edited = Source({**code("node 2").facts, "problem": "cosine 2", "measure": "timing none"})
    (said,) = select(store, Wanted(here=lambda cells: [edited])).notices
    assert said.startswith("node and the problem cosine have changed here since: what is shown"), "none: not there"


def test_a_page_of_what_a_file_adds_that_is_not_loaded_says_that_it_is_not_known_whether_it_has_changed(store):
    own = Source({**code("node 1").facts, "solver": "mine 1"})
    begin(store, "a", OLD, code=own)
    assert select(store, Wanted(here=lambda cells: [own])).notices == ()
    absent = Source({**code("node 1").facts, "problem": "cosine none"})
    (said,) = select(store, Wanted(here=lambda cells: [absent])).notices
    assert said.startswith("the problem cosine and the solver mine are not loaded here: it is not known whether their")
    assert select(store, Wanted(here=lambda cells: [absent])).cells[OLD.key].status == "ok"


def test_trials_of_the_current_code_are_shown_before_trials_of_other_code(store):
    begin(store, "a", OLD, code=code("node 1"), error=1.0)
    begin(store, "b", OLD, code=code("node 2"), error=2.0)
    selection = select(store, Wanted(here=lambda cells: [code("node 1")]))
    assert selection.cells[OLD.key].value("error") == 1.0
    assert selection.notices == ()
    assert select(store).cells[OLD.key].value("error") == 2.0


def test_merged_trials_of_other_code_do_not_make_ours_history_however_many_runs_they_have(store, tmp_path):
    with Store.open(str(tmp_path / "theirs.db"), create=True) as theirs:
        for run_id in ("x", "y", "z"):
            begin(theirs, run_id, OLD, code=code("node 2"), error=2.0)
        begin(store, "a", OLD, code=code("node 1"), error=1.0)
        merge(store, theirs)
    for here in ((), [code("node 3")]):
        assert select(store, Wanted(here=lambda cells, here=here: here)).cells[OLD.key].value("error") == 1.0


def test_an_edit_that_is_half_undone_hides_nothing(store):
    """Each current part was measured, but never both parts together: what was measured last is shown."""
    edited = Source({**code("node 2").facts, "measure": "accuracy 2"})
    begin(store, "a", OLD, code=code("node 1"), error=1.0)
    begin(store, "b", OLD, code=edited, error=2.0)
    selection = select(store, Wanted(here=lambda cells: [code("node 2")]))
    assert selection.cells[OLD.key].value("error") == 2.0
    (said,) = selection.notices
    assert said.startswith("the measuring of accuracy has changed here since")


def test_imported_timings_are_in_no_report(store):
    begin(store, "a", RK4)
    timed = Cell(problem="test_a.py", backend=IMPORTED, solver="test_solve", horizon=0.0, n_outputs=0)
    begin(store, "b", timed, name=IMPORTED, machine="there")
    begin(store, "c", timed, name=IMPORTED)
    selection = select(store)
    assert set(selection.cells) == {RK4.key}
    assert list(selection.every_run["run_id"]) == ["a"]


def test_imported_runs_alone_make_no_report(store):
    begin(store, "a", RK4, name=IMPORTED)
    with pytest.raises(ReportError, match="holds no run: run `nodebench run` first"):
        select(store)


def test_a_cell_keeps_what_an_older_run_measured(store):
    begin(store, "a", RK4)
    begin(store, "b", RK4, of=())
    selection = select(store)
    assert selection.cells[RK4.key].value("error") == 1.0
    assert overview(selection).pending == ""


@pytest.mark.exhaustive
def test_cells_are_read_as_they_were_planned(measured):
    assert {key: each.cell for key, each in select(measured).cells.items()} == {
        one.cell.key: one.cell for one in synthetic_cells.plan()
    }


def test_a_study_has_the_goal_that_its_sweep_states(store):
    run = replace(synthetic.run("a"), goals={"solvers": Goal(error=1e-3)})
    store.begin(run, [Planned("solvers", RK4), Planned("adaptive", RK4)])
    studies = select(store).studies
    assert {name: cells[0].goal for name, cells in studies.items()} == {
        "solvers": Goal(error=1e-3), "adaptive": Goal(),
    }  # fmt: skip
    assert report(store).sections
    store.begin(replace(synthetic.run("b"), sweep_text="without a goal"), [Planned("solvers", RK4)])
    studies = select(store).studies
    assert studies["solvers"][0].goal == Goal(), "the goal was removed"
