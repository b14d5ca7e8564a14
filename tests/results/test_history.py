"""The history of metrics: what a series is made of, whatever the load, the control and the interruptions were."""

import math
from dataclasses import replace

import pytest

from results.read.history import Series, history
from results.read.where import Where
from results.records import Environment, Planned, Sample, Trial
from results.store import Store
from tests.support.histories import CELLS, CHANGED, CONTROL, FLAT, HERE, OTHERS, a_run, code, fill

RUNS = 16
HALF = [1.0] * 8 + [1.1] * 8


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


def series_of(store: Store, where: Where | None = None) -> dict[tuple[str, str], Series]:
    """The series by solver step and metric."""
    return {(f"{one.cell.dt:g}", one.metric.name): one for one in history(store.database, where or Where())}


def test_the_machines_load_cancels_in_the_ratio_to_the_control_and_a_change_of_the_cell_stays(store):
    fill(store, RUNS, {CHANGED: HALF}, noise=0.01, nfe=[40.0] * 15 + [46.0])
    found = series_of(store)
    assert {(step, name) for step, name in found} == {
        ("0.1", "forward_s"), ("0.5", "forward_s"), ("0.25", "forward_s"), ("0.5", "nfe_forward"),
    }  # fmt: skip
    changed, flat, control = (found[step, "forward_s"] for step in ("0.5", "0.25", "0.1"))
    assert (changed.control, flat.control, control.control) == (CONTROL, CONTROL, None)
    assert [round(point.value, 1) for point in flat.points] == [1.0] * RUNS
    assert flat.changes == ()
    (change,) = changed.changes
    assert change.index == 8
    assert change.relative == pytest.approx(0.1, abs=0.01)
    point = changed.points[8]
    assert (point.run_id, point.revision, point.dirty) == ("00000008-run", f"{8:040x}"[::-1], False)
    assert changed.code_changes(change) == ("library",)
    assert (changed.less_sure, control.less_sure) == (False, True)
    assert len(control.changes) == 1, "the load is in the seconds"
    assert [(step.index, step.before, step.after) for step in found["0.5", "nfe_forward"].changes] == [(15, 40, 46)]


def test_a_value_is_the_median_ratio_of_the_samples_of_the_same_rounds(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        store.begin(a_run(0), [Planned("solvers", cell) for cell in CELLS])
        for cell, kind, values in (
            (CONTROL, "timing", {0: 1.0, 1: 2.0, 2: 4.0}),
            (CONTROL, "twin", {0: 9.0, 1: 9.0, 2: 9.0}),
            (CHANGED, "timing", {0: 3.0, 2: 4.0, 3: 100.0}),
        ):
            samples = [Sample(index, 0, value) for index, value in values.items()]
            store.record("00000000-run", Trial(cell_key=cell.key, kind=kind, samples={"forward_s": samples}))
        found = series_of(store)
        assert found["0.5", "forward_s"].points[0].value == 2.0  # of 3/1 and 4/4
        assert found["0.1", "forward_s"].points[0].value == 2.0  # its own median, and not its twin's


def test_a_filter_of_cells_leaves_them_their_control(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        fill(store, 2, {})
        found = series_of(store, Where(cell_key=FLAT.key))
        assert [(key, one.control) for key, one in found.items()] == [(("0.25", "forward_s"), CONTROL)]


def test_a_run_that_timed_a_cell_beside_another_control_is_left_out_and_counted(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        fill(store, 3, {})
        fill(store, 2, {}, cells=(OTHERS[0], FLAT), control=OTHERS[0], first=3)
        found = series_of(store)["0.25", "forward_s"]
        assert (found.control, len(found.points), found.left_out) == (CONTROL, 3, 2)


def test_a_control_that_was_timed_as_a_mere_cell_before_serves_for_those_runs_too(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        fill(store, 2, {}, cells=(*CELLS, OTHERS[0]))
        fill(store, 3, {}, cells=(FLAT, OTHERS[0]), control=OTHERS[0], first=2)
        found = series_of(store)["0.25", "forward_s"]
        assert (found.control, len(found.points), found.left_out) == (OTHERS[0], 5, 0)


def test_each_environment_has_its_own_series(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        elsewhere = Environment({"cpu": "another"})
        fill(store, 2, {})
        fill(store, 1, {}, first=2, environment=elsewhere)
        found = [one for one in history(store.database, Where(), ["forward_s"]) if one.cell == FLAT]
        assert {one.fingerprint: len(one.points) for one in found} == {HERE.fingerprint: 2, elsewhere.fingerprint: 1}


def test_a_run_that_continued_an_interrupted_one_is_one_with_it(tmp_path):
    """The first run measured the counts, the second the times, and the third the counts again."""
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        source = code("aaaa")
        for number in range(3):
            store.begin(a_run(number), [Planned("solvers", CHANGED)], [source])
        counts = Trial(cell_key=CHANGED.key, kind="counts", metrics={"nfe_forward": 40.0}, source=source.key)
        times = Trial(cell_key=CHANGED.key, kind="training", metrics={"train_s": 2.0}, source=source.key)
        store.record("00000000-run", counts)
        store.record("00000000-run", replace(times, status="interrupted", metrics={}))
        store.finish("00000000-run", state="interrupted")
        store.record("00000001-run", times)
        store.record("00000002-run", replace(counts, metrics={"nfe_forward": 46.0}))
        found = series_of(store)
        ends = {name: [(point.run_id[:8], point.value) for point in one.points] for (_, name), one in found.items()}
        assert ends == {"nfe_forward": [("00000001", 40.0), ("00000002", 46.0)], "train_s": [("00000001", 2.0)]}


def test_failures_and_numbers_that_are_none_make_no_point(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        for number, value in enumerate((math.nan, math.inf, 1.0)):
            store.begin(a_run(number), [Planned("solvers", CHANGED)])
            metrics = {"error": value, "peak_rss_bytes": value}
            store.record(a_run(number).id, Trial(cell_key=CHANGED.key, kind="accuracy", metrics={"error": value}))
            store.record(a_run(number).id, Trial(cell_key=CHANGED.key, kind="memory", metrics=metrics))
            store.record(a_run(number).id, Trial(cell_key=CHANGED.key, kind="counts", status="crashed", reason="gone"))
        found = series_of(store)
        assert {name: [point.value for point in one.points] for (_, name), one in found.items()} == {
            "error": [math.inf, 1.0], "peak_rss_bytes": [1.0],
        }  # fmt: skip
        assert [step.index for step in found["0.5", "error"].changes] == [1]
