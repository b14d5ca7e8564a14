"""The recorded trials that count: the newest series of the current code."""

from dataclasses import replace

import pytest

from results.read.where import Where
from results.records import Environment, Source, Trial
from results.store import Store
from results.tools import baselines
from results.tools.prune import prune
from tests.support.one_run import EULER, HERE, PLAN, a_run, timing


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


def test_cells_that_an_older_nodebench_measured_on_the_same_machine_are_counted(store):
    """The older nodebench recorded more facts of it, for example a release of numpy."""
    older = Environment({**HERE.facts, "numpy": "1.26"})
    for run_id, where in (("run-1", older), ("run-2", Environment({"cpu": "another", "numpy": "1.26"}))):
        store.begin(replace(a_run(run_id), environment=where), PLAN)
        store.record(run_id, timing())
    assert store.measured_before(HERE.facts, [EULER.key, "another"]) == 1
    assert store.measured_before(HERE.facts, ["another"]) == 0
    assert store.measured_before({**older.facts, "gpu 0": "new"}, [EULER.key]) == 0


def test_the_trial_recorded_last_counts_whatever_the_clocks_say(store):
    for run_id, started_at, error in [("run-1", 10.0, 1.0), ("run-2", 30.0, 3.0), ("run-3", 20.0, 2.0)]:
        store.begin(a_run(run_id, started_at=started_at), PLAN)
        store.record(run_id, timing(started_at=started_at, metrics={"error": error}))
    assert store.metrics()["value"].tolist() == [2.0]
    assert store.trials()["run_id"].tolist() == ["run-3"]
    assert store.runs()["run_id"].tolist() == ["run-1", "run-2", "run-3"]
    assert store.samples()["value"].tolist() == [0.5, 1.5]


def test_of_two_series_only_the_newer_one_counts(store):
    """The older series had more processes, and none of them counts as a process of the newer series."""
    store.begin(a_run("run-1"), PLAN)
    for index in range(3):
        store.record("run-1", timing(process_index=index, metrics={"error": 1.0}))
    store.begin(a_run("run-2"), PLAN)
    store.record("run-2", timing(process_index=3, metrics={"error": 2.0}))
    assert store.metrics()["value"].tolist() == [2.0]
    store.begin(a_run("run-3"), PLAN)
    store.record("run-3", timing(process_index=4, metrics={"error": 3.0}, series="run-2"))
    assert store.metrics()["value"].tolist() == [2.0, 3.0]
    assert store.standing(HERE.fingerprint, [EULER.key], [None]).last_process == 4
    assert len(store.trials(newest=False)) == 5


def test_the_newest_trial_of_the_current_code_counts_although_other_code_was_measured_later(store):
    """This happens after an edit was undone or another database was merged."""
    now, other = (Source({"library": f"node {version}"}) for version in (1, 2))
    for run_id, code, error in (("run-1", now, 1.0), ("run-2", other, 2.0), ("run-3", None, 3.0)):
        store.begin(a_run(run_id), PLAN, [now, other])
        store.record(run_id, timing(source=code and code.key, metrics={"error": error}))
        store.record(run_id, timing(kind="twin", source=other.key, samples={}))
    found = store.standing(HERE.fingerprint, [EULER.key], [now.key])
    assert [(one.run_id, one.kind) for one in found.trials] == [("run-1", "timing")]
    assert found.outdated == frozenset(), "a twin of other code is no number of the cell"
    assert store.metrics(Where(source=now.key))["value"].tolist() == [1.0]
    assert store.metrics(Where(source=[now.key, other.key, ""]))["value"].tolist() == [2.0]
    assert store.metrics(Where(source=""))["value"].tolist() == [3.0]
    assert store.standing(HERE.fingerprint, [EULER.key], ["a third"]).outdated == {EULER.key}
    assert store.metrics()["value"].tolist() == [2.0], "a trial of unknown code comes last"
    assert store.metrics(Where(prefer=[now.key]))["value"].tolist() == [1.0]
    assert store.metrics(Where(prefer=["a third"]))["value"].tolist() == [2.0]
    baselines.keep(store, "now", prefer=[now.key])
    assert baselines.metrics(store, "now")["value"].tolist() == [1.0]
    baselines.remove(store, "now")
    prune(store, prefer=[now.key])
    assert store.metrics()["value"].tolist() == [1.0]


@pytest.mark.parametrize("interrupted_at", [1.0, 99.0])
def test_an_interrupted_trial_never_hides_a_measured_one(store, interrupted_at):
    store.begin(a_run("run-1"), PLAN)
    store.begin(a_run("run-2"), PLAN)
    store.record("run-1", timing(status="interrupted", started_at=interrupted_at, samples={}))
    store.record("run-2", timing(started_at=50.0))
    assert store.trials()["status"].tolist() == ["ok"]
    assert statuses(store) == {("timing", 0): "ok"}


def test_an_interrupted_trial_does_not_count_as_measured(store):
    store.begin(a_run(), PLAN)
    store.record("run-1", timing(status="interrupted"))
    store.record("run-1", timing(process_index=1))
    assert statuses(store) == {("timing", 1): "ok"}
    assert set(store.trials()["status"]) == {"interrupted", "ok"}


def test_failures_are_recorded_as_measured(store):
    store.begin(a_run(), PLAN)
    store.record("run-1", Trial(cell_key=EULER.key, kind="counts", status="unsupported", reason="no euler"))
    assert statuses(store) == {("counts", 0): "unsupported"}


def statuses(store: Store) -> dict[tuple[str, int], str]:
    standing = store.standing(HERE.fingerprint, [EULER.key], [None])
    return {(one.kind, one.process_index): one.status for one in standing.trials}
