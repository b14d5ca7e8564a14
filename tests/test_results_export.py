"""Frames as files that other tools read: nothing is lost on the way, and no half of a file is left."""

import json
import sys

import numpy
import pandas
import pytest
from stocked import CELLS, HERE, a_run, a_trial, stock

from results import export as exporting
from results.export import FRAMES, WRITERS, export
from results.location import StoreError
from results.records import Curve, Planned
from results.store import Store
from results.where import Where


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        stock(opened)
        yield opened


def frame_of(store: Store, name: str, where: Where) -> pandas.DataFrame:
    return store.runs() if name == "runs" else getattr(store, name)(where)


def read(path, like: pandas.DataFrame) -> pandas.DataFrame:
    """The file in pandas, with the types of the frame where the format has none."""
    if path.suffix == ".parquet":
        found = pandas.read_parquet(path)
    elif path.suffix == ".jsonl":
        found = pandas.DataFrame([json.loads(line) for line in path.read_text().splitlines()], columns=list(like))
    else:
        numbers = [name for name in like if like[name].dtype not in ("str", object)]
        found = pandas.read_csv(path, keep_default_na=False, na_values={name: [""] for name in numbers})
    for name in like:
        if like[name].dtype == object and path.suffix != ".jsonl" and name not in ("x", "y"):
            found[name] = found[name].map(json.loads)
        if name in ("x", "y"):
            lists = found[name].map(json.loads) if path.suffix == ".csv" else found[name]
            found[name] = [numpy.array([list(v) if name == "y" else v for v in one], dtype=float) for one in lists]
        else:
            found[name] = found[name].astype(like[name].dtype)
    return found


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_a_file_read_back_is_the_frame(store, tmp_path, suffix):
    for frame in FRAMES:
        path = tmp_path / f"{frame}{suffix}"
        expected = frame_of(store, frame, Where())
        assert len(expected)
        assert export(store, path, frame=frame) == len(expected)
        found = read(path, expected)
        assert list(found) == list(expected)
        if frame == "curves":
            for name in ("x", "y"):
                for one, other in zip(found.pop(name), expected.pop(name), strict=True):
                    numpy.testing.assert_array_equal(one, other)
        pandas.testing.assert_frame_equal(found, expected)


def test_parquet_has_the_types_itself(store, tmp_path):
    from pyarrow.parquet import read_schema

    for frame, column, kind in (
        ("trials", "position", "int64"),
        ("samples", "repeats", "int64"),
        ("summary", "rtol", "double"),
        ("runs", "git_dirty", "bool"),
        ("curves", "y", "list<element: list<element: double>>"),
    ):
        export(store, tmp_path / "a.parquet", frame=frame)
        assert str(read_schema(tmp_path / "a.parquet").field(column).type) == kind


def test_nulls_are_nulls(store, tmp_path):
    export(store, tmp_path / "cells.jsonl", frame="cells")
    rows = [json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines()]
    assert {row["key"]: row["rtol"] for row in rows}[CELLS[0].key] is None
    assert {type(row["n_outputs"]) for row in rows} == {int}


@pytest.mark.parametrize(
    "where",
    [Where(problem="spiral"), Where(solver=["euler"], backend="node"), Where(run_id="a-2"), Where(device="cuda")],
    ids=str,
)
def test_a_condition_is_applied(store, tmp_path, where):
    for frame in ("summary", "samples", "cells"):
        assert export(store, tmp_path / "a.csv", frame=frame, where=where) == len(frame_of(store, frame, where))
    assert export(store, tmp_path / "a.csv", frame="runs", where=where) == len(set(store.planned(where)["run_id"]))


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_an_empty_frame_is_a_file_with_its_columns(store, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    assert export(store, path, where=Where(problem="nothing")) == 0
    if suffix != ".jsonl":
        reader = pandas.read_csv if suffix == ".csv" else pandas.read_parquet
        assert list(reader(path)) == list(store.summary())


def test_many_parts_are_one_file(store, tmp_path, monkeypatch):
    whole = [tmp_path / f"whole{suffix}" for suffix in WRITERS]
    for path in whole:
        export(store, path, frame="samples")
    monkeypatch.setattr(exporting, "_CHUNK", 4)
    for path in whole:
        parts = path.with_stem("parts")
        export(store, parts, frame="samples")
        if path.suffix == ".parquet":
            assert pandas.read_parquet(parts).equals(pandas.read_parquet(path))
        else:
            assert parts.read_text() == path.read_text()


def test_every_float_survives(url, tmp_path):
    values = [0.1, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3]
    with Store.open(url, create=True) as store:
        store.begin(a_run("run", where=HERE), [Planned("solvers", CELLS[0])])
        curves = {"odd": Curve([float("inf"), float("nan"), *values], [[v] for v in (0.0, 1.0, *values)])}
        store.record("run", a_trial(metrics=dict(zip("abcde", values, strict=True)), curves=curves))
        for suffix in WRITERS:
            path = tmp_path / f"a{suffix}"
            export(store, path, frame="metrics")
            assert read(path, store.metrics())["value"].tolist() == values
            export(store, path, frame="curves")
            (x,) = read(path, store.curves())["x"]
            numpy.testing.assert_array_equal(x, curves["odd"].x)


def test_a_failed_export_leaves_what_was_there(store, tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("before")
    rows = iter([[{"run_id": "a"}]])

    def breaking(*_):
        yield from rows
        raise StoreError("the server went away")

    monkeypatch.setattr(exporting, "chunks", breaking)
    with pytest.raises((StoreError, KeyError)):
        export(store, path)
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.glob("*a.csv*")] + [f.name for f in tmp_path.glob(".*")] == ["a.csv"]


def test_a_place_that_cannot_be_written_is_one_line(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"a.csv cannot be written \(.*\): pass another file") as caught:
        export(store, tmp_path / "file" / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.xls", "a", "a.csv.gz"])
def test_an_unknown_suffix_is_refused(store, tmp_path, name):
    with pytest.raises(StoreError, match=r"has the suffix '.*': name the file \*.csv, \*.parquet, \*.jsonl"):
        export(store, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_without_pyarrow_parquet_is_one_line(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match="needs the Python package pyarrow: pip install 'pyarrow'"):
        export(store, tmp_path / "a.parquet")
    assert not list(tmp_path.glob("*.parquet*"))
    assert export(store, tmp_path / "a.csv")
