"""The views, alike on both engines: the newest row of each cell and environment, and the points of curves."""

import math
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from results import StoreError, Where
from results.opening.copying import back_up
from results.records import Curve, Planned, Source, Trial
from results.schema import summary
from results.store import Store
from results.tools.check import findings
from tests.support import synthetic, synthetic_cells

CELL = next(synthetic_cells.spiral_cells())


@pytest.fixture
def store(url) -> Iterator[Store]:
    with Store.open(url, create=True) as opened:
        yield opened


def ask(store: Store, query: str) -> list[tuple]:
    with store.database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_latest_has_the_newest_row_of_each_cell_and_environment(three):
    wide = three.summary().merge(three.runs()[["run_id", "sequence"]], on="run_id").sort_values("sequence")
    newest = wide.groupby(["fingerprint", "cell_key"]).tail(1)
    found = ask(three, "select run_id, cell_key from latest")
    assert sorted(found) == sorted(newest[["run_id", "cell_key"]].itertuples(index=False, name=None))
    assert len(found) < len(wide)


def test_a_trial_of_unknown_code_comes_after_a_trial_of_known_code(store):
    source = Source({"library": "node 1", "adapter": "node 1", "problem": "spiral 1", "measure": "timing 1"})
    for number, key in ((1, source.key), (2, None)):
        store.begin(synthetic.run(f"run-{number}"), [Planned("spiral", CELL)], [source])
        store.record(f"run-{number}", Trial(cell_key=CELL.key, kind="timing", source=key))
    assert ask(store, "select run_id from latest") == [("run-1",)]
    assert list(store.trials()["run_id"]) == ["run-1"]


def record(store: Store, **curves: Curve) -> None:
    store.begin(synthetic.run(), [Planned("spiral", CELL)])
    store.record("run-1", Trial(cell_key=CELL.key, kind="training", curves=curves))


def test_point_has_every_number_of_a_curve(store):
    record(store, loss=Curve([0, 0.1, 1e300], [[1.5, -math.inf], [math.inf, 5e-324], [math.nan, 0.1 + 0.2]]))
    expected = [
        *((0, 0, 0.0, 1.5), (0, 1, 0.0, -math.inf), (1, 0, 0.1, math.inf), (1, 1, 0.1, 5e-324)),
        *((2, 0, 1e300, None), (2, 1, 1e300, 0.1 + 0.2)),
    ]
    assert ask(store, "select position, component, x, y from point order by 1, 2") == expected


def test_a_curve_of_many_numbers_has_no_points_and_is_only_an_array(store):
    small, large = (Curve(list(range(n)), [[0.5]] * n) for n in (5_000, 5_001))
    record(store, small=small, large=large, none=Curve([], []))
    assert ask(store, "select name, count(*) from point group by name") == [("small", 5_000)]
    assert sorted(map(len, store.curves(Where(run_id="run-1"))["x"])) == [0, 5_000, 5_001]
    assert list(findings(store)) == []


def test_a_backup_has_the_views(three, tmp_path):
    backup = back_up(three.database, tmp_path / "backup.db")
    with Store.open(backup) as copy:
        assert sorted(ask(copy, "select run_id, cell_key from latest")) == sorted(
            ask(three, "select run_id, cell_key from latest")
        )
        assert list(findings(copy)) == []


@pytest.mark.parametrize("view", ["latest", "point"])
def test_a_missing_view_is_found_and_restored(store, view, tmp_path):
    from bench.answers.database import rebuild_summary

    with store.database.writing() as connection:
        connection.execute(text(f"drop view {view}"))
    assert list(findings(store)) == [f"the view {view} is not as nodebench makes it: nodebench db rebuild"]
    rebuild_summary(store.database.url.render_as_string(hide_password=False))
    assert list(findings(store)) == []


def test_a_view_of_other_columns_is_found_and_restored(store):
    with store.database.writing() as connection:
        connection.execute(text("drop view latest"))
        connection.execute(text("create view latest as select 1 as x"))
    assert list(findings(store)) == ["the view latest is not as nodebench makes it: nodebench db rebuild"]
    with store.database.writing() as connection:
        summary.rebuild(connection)
    assert list(findings(store)) == []


def test_a_table_that_has_the_name_of_a_view_is_not_removed(store):
    with store.database.writing() as connection:
        connection.execute(text("drop view latest"))
        connection.execute(text("create table latest (x integer)"))
    said = "a table named latest stands where a view of ours is to be: rename it"
    with pytest.raises(StoreError, match=said), store.database.writing() as connection:
        summary.rebuild(connection)
    assert ask(store, "select * from latest") == []
