"""Frames exported to files that other tools read: nothing is lost, and no incomplete file is left."""

import csv
import gzip
import io
import json
import re
import sys
import tracemalloc

import numpy
import pandas
import pytest

from results.engine.location import StoreError
from results.read.where import Where
from results.records import Curve, Planned
from results.store import Store
from results.tools import export as exporting
from results.tools.export import FRAMES, export, stream
from results.tools.formats import STREAMED, SUFFIXES
from tests.support.stocked import CELLS, HERE, a_run, a_trial, stock


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        stock(opened)
        yield opened


def frame_of(store: Store, name: str, where: Where) -> pandas.DataFrame:
    return store.runs() if name == "runs" else getattr(store, name)(where)


def read(path, like: pandas.DataFrame) -> pandas.DataFrame:
    """The file in pandas, with the types of the frame where the format has none."""
    if ".parquet" in path.name:
        found = pandas.read_parquet(path)
    elif ".json" in path.name:
        text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
        assert not re.search(r"NaN|Infinity", text)  # neither is JSON
        rows = map(json.loads, text.splitlines()) if ".jsonl" in path.name else json.loads(text)
        found = pandas.DataFrame(list(rows), columns=list(like))
    else:
        numbers = [name for name in like if like[name].dtype not in ("str", object)]
        found = pandas.read_csv(path, keep_default_na=False, na_values={name: [""] for name in numbers})
        for name in like.select_dtypes("str"):  # as docs/database.md says
            found[name] = found[name].astype("str").str.replace("^'('*[-=+@\t\r\n＝＋－＠])", r"\1", regex=True)
    for name in like:
        if like[name].dtype == object and ".json" not in path.name and name not in ("x", "y"):
            found[name] = found[name].map(json.loads)
        if name in ("x", "y"):
            lists = found[name].map(json.loads) if ".csv" in path.name else found[name]
            found[name] = [numpy.array([list(v) if name == "y" else v for v in one], dtype=float) for one in lists]
        else:
            found[name] = found[name].astype(like[name].dtype)
    return found


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
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


def test_parquet_stores_the_types(store, tmp_path):
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


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_an_empty_frame_is_a_file_with_its_columns(store, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    assert export(store, path, where=Where(problem="nothing")) == 0
    if suffix == ".json":
        assert json.loads(path.read_text()) == []
    elif ".json" not in suffix:
        reader = pandas.read_parquet if suffix == ".parquet" else pandas.read_csv
        assert list(reader(path)) == list(store.summary())


def content(path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_a_file_written_in_parts_equals_a_file_written_at_once(store, tmp_path, monkeypatch):
    whole = [tmp_path / f"whole{suffix}" for suffix in SUFFIXES]
    for path in whole:
        export(store, path, frame="samples")
    monkeypatch.setattr(exporting, "_CHUNK", 4)
    for path in whole:
        parts = path.with_name(path.name.replace("whole", "parts"))
        export(store, parts, frame="samples")
        if path.suffix == ".parquet":
            assert pandas.read_parquet(parts).equals(pandas.read_parquet(path))
        else:
            assert content(parts) == content(path)


def test_every_float_survives(url, tmp_path):
    values = [0.1, 5e-324, 1.7976931348623157e308, -0.0, 1 / 3, float("inf"), -float("inf")]
    with Store.open(url, create=True) as store:
        store.begin(a_run("run", where=HERE), [Planned("solvers", CELLS[0])])
        curves = {"odd": Curve([float("inf"), float("nan"), *values], [[v] for v in (0.0, 1.0, *values)])}
        store.record("run", a_trial(metrics=dict(zip("abcdefg", values, strict=True)), curves=curves))
        for suffix in SUFFIXES:
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


def test_a_file_that_cannot_be_written_is_reported_in_one_line(store, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"a.csv cannot be written \(.*\): pass another file") as caught:
        export(store, tmp_path / "file" / "a.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.xls", r"has the suffix '\.xls': name the file \*\.csv, .*, \*\.parquet, .*\.gz\.$"),
        ("a", r"has no suffix: name the file"),
        ("a.cvs", r"has the suffix '\.cvs'.* Did you mean '\.csv'\?"),
        ("a.Jsn", r"has the suffix '\.Jsn'.* Did you mean '\.json'\?"),
        ("a.parquet.gz", r"has the suffix '\.parquet\.gz'.* Did you mean '\.parquet'\?"),
    ],
)
def test_an_unknown_suffix_is_answered_with_the_nearest(store, tmp_path, name, said):
    with pytest.raises(StoreError, match=said):
        export(store, tmp_path / name)
    assert list(tmp_path.glob("a*")) == []


def test_a_suffix_may_be_in_upper_case(store, tmp_path):
    export(store, tmp_path / "a.CSV.GZ")
    export(store, tmp_path / "b.csv.gz")
    assert (tmp_path / "a.CSV.GZ").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


FORMULAS = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "'=1", "''-1", "＝1"]


def test_no_text_is_a_formula_in_a_spreadsheet_and_every_text_reads_back_as_it_was(url, tmp_path):
    said = [*FORMULAS, "'quoted'", "a=1", "", "a\rb", '"a"', "a\r\nb, c"]
    with Store.open(url, create=True) as store:
        store.begin(a_run("run", where=HERE), [Planned("solvers", CELLS[0])])
        for index, text in enumerate(said):
            store.record("run", a_trial(process_index=index, reason=text, log_tail=text, metrics={"error": -1.5}))
        path = tmp_path / "a.csv"
        export(store, path, frame="trials")
        with path.open(newline="", encoding="utf-8") as file:
            shown = [row["reason"] for row in csv.DictReader(file)]
        assert shown == [f"'{text}" if text in FORMULAS else text for text in said]
        assert read(path, store.trials())["reason"].tolist() == said
        export(store, path, frame="metrics")
        assert set(pandas.read_csv(path)["value"]) == {-1.5}
        export(store, tmp_path / "a.jsonl", frame="trials")
        assert read(tmp_path / "a.jsonl", store.trials())["reason"].tolist() == said


@pytest.mark.parametrize("form", STREAMED)
def test_a_stream_has_the_bytes_of_the_file(store, tmp_path, form):
    path = tmp_path / f"a.{form}"
    for frame in FRAMES:
        file = io.BytesIO()
        assert stream(store, file, form=form, frame=frame) == export(store, path, frame=frame)
        assert file.getvalue() == path.read_bytes()


@pytest.mark.parametrize("form", STREAMED)
def test_ten_parts_take_hardly_more_memory_than_two(tmp_path, form):
    def peak(count: int) -> int:
        parts = ([{"name": "error", "value": float(index)} for index in range(2_000)] for _ in range(count))
        tracemalloc.start()
        with (tmp_path / "a").open("wb") as file:
            assert STREAMED[form](file, {"name": str, "value": float}, parts) == 2_000 * count
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(10) < 1.2 * peak(2)


def test_without_pyarrow_parquet_is_refused_in_one_line(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StoreError, match="needs the Python package pyarrow: pip install 'pyarrow'"):
        export(store, tmp_path / "a.parquet")
    assert not list(tmp_path.glob("*.parquet*"))
    assert export(store, tmp_path / "a.csv")
