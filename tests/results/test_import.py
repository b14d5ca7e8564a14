"""The import of pytest-benchmark's files: each file becomes a run, once."""

import hashlib
import json
from pathlib import Path

import pytest

from results.engine.location import StoreError
from results.records import Cell
from results.store import Store
from results.tools.pytest_benchmark import SWEEP, read, take_in
from tests.support.pytest_benchmarks import made
from tests.support.stocked import CELLS, exactly, measure


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("with_data"), "--benchmark-json=made.json")


@pytest.fixture(scope="module")
def file_without_data(tmp_path_factory) -> Path:
    return made(tmp_path_factory.mktemp("without_data"), "--benchmark-save=made")


@pytest.fixture
def store(url):
    with Store.open(url, create=True) as opened:
        yield opened


@pytest.mark.exhaustive
def test_each_round_is_a_sample(store, file):
    imported = take_in(store, read(file))
    assert (imported.trials, imported.known) == (3, 0)
    content = json.loads(file.read_text())
    samples = store.samples()
    assert set(samples["name"]) == {"call_s"}
    cells = {cell["solver"]: key for key, cell in store.cells().set_index("key").iterrows()}
    for benchmark in content["benchmarks"]:
        solver = "euler" if benchmark["name"] == "test_solve" else benchmark["name"]
        of_cell = samples[samples["cell_key"] == cells[solver]].sort_values("round_index")
        assert of_cell["value"].tolist() == benchmark["stats"]["data"]
        assert set(of_cell["repeats"]) == {benchmark["stats"]["iterations"]}
    assert store.metrics().empty


@pytest.mark.exhaustive
def test_without_rounds_the_median_is_imported(store, file_without_data):
    take_in(store, read(file_without_data))
    content = json.loads(file_without_data.read_text())
    assert store.samples().empty
    medians = sorted(benchmark["stats"]["median"] for benchmark in content["benchmarks"])
    assert sorted(store.metrics()["value"]) == medians
    assert sorted(store.summary()["call_s"]) == medians


@pytest.mark.exhaustive
def test_a_file_saved_with_its_data_has_its_rounds(store, tmp_path):
    take_in(store, read(made(tmp_path, "--benchmark-save=made", "--benchmark-save-data")))
    assert len(store.samples()) == 10


def test_a_benchmark_is_the_cell_that_it_names_or_a_cell_made_of_its_name(store, file):
    take_in(store, read(file))
    assert store.cell(CELLS[0].key) == CELLS[0]
    own = Cell(problem="test_tiny.py", backend="pytest-benchmark", solver="test_sum[10]", horizon=0.0, n_outputs=0)
    assert store.cell(own.key) == own
    assert own.label == "test_tiny.py pytest-benchmark test_sum[10] T=0 outputs=0 batch=1 float32 cpu"


def test_the_run_has_the_machine_and_the_text_of_the_file(store, file):
    imported = take_in(store, read(file))
    (row,) = store.runs().to_dict("records")
    content = json.loads(file.read_text())
    assert row["run_id"] == imported.run_id
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(row["run_id"])
    assert (row["sweep_name"], row["sweep_text"], row["state"]) == (SWEEP, file.read_text(), "complete")
    assert row["facts"]["python_version"] == content["machine_info"]["python_version"]
    assert row["facts"]["cpu"] == content["machine_info"]["cpu"]["brand_raw"]
    assert row["volatile"]["node"] == content["machine_info"]["node"]
    assert "node" not in row["facts"]
    assert row["git_revision"] == ""
    assert row["started_at"] > 1.7e9


def test_the_commit_is_kept(store, file, tmp_path):
    content = json.loads(file.read_text())
    content["commit_info"] |= {"id": "abc", "dirty": True}
    (tmp_path / "a.json").write_text(json.dumps(content))
    take_in(store, read(tmp_path / "a.json"))
    (row,) = store.runs().to_dict("records")
    assert (row["git_revision"], row["git_dirty"]) == ("abc", True)


def test_importing_twice_changes_nothing(store, file):
    take_in(store, read(file))
    before = exactly(store)
    again = take_in(store, read(file))
    assert (again.trials, again.known) == (0, 3)
    assert exactly(store) == before


def test_an_import_that_is_cut_off_leaves_nothing(store, file, monkeypatch):
    from results.tools import pytest_benchmark

    recorded = []

    def killed(*arguments):
        if recorded:
            raise KeyboardInterrupt
        recorded.append(record(*arguments))

    record = pytest_benchmark.record_missing
    monkeypatch.setattr(pytest_benchmark, "record_missing", killed)
    with pytest.raises(KeyboardInterrupt):
        take_in(store, read(file))
    monkeypatch.undo()
    assert store.runs().empty
    again = take_in(store, read(file))
    assert (again.trials, again.known) == (3, 0)
    assert list(store.runs()["state"]) == ["complete"]


def test_two_benchmarks_of_one_cell_are_its_processes(store, file, tmp_path):
    content = json.loads(file.read_text())
    content["benchmarks"] += content["benchmarks"][:1]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert take_in(store, read(tmp_path / "a.json")).trials == 4
    assert sorted(store.trials()["process_index"]) == [0, 0, 0, 1]


def test_an_import_does_not_change_what_was_measured(store, file):
    measure(store, "run", started_at=10.0)
    before = store.samples()
    take_in(store, read(file))
    assert store.samples().query("name != 'call_s'").reset_index(drop=True).equals(before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not pytest-benchmark's JSON (Expecting value"),
        ("[]", "is not pytest-benchmark's JSON (list indices"),
        ("{}", "is not pytest-benchmark's JSON (it has no 'machine_info')"),
        ('{"machine_info": {}, "commit_info": {}, "version": "5"}', "(it has no 'datetime')"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StoreError) as caught:
        read(tmp_path / "a.json")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--benchmark-json=FILE" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"problem": "p", "solver_name": "x"}, "cell has the unknown field 'solver_name'"),
        ({"problem": "p"}, "missing 4 required"),
        ("euler", "is not pytest-benchmark's JSON"),
        ({"horizon": "long"}, "could not convert string to float"),
    ],
)
def test_an_invalid_cell_is_refused(file, tmp_path, given, said):
    content = json.loads(file.read_text())
    content["benchmarks"][0]["extra_info"]["cell"] = given
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match="pytest-benchmark's JSON") as caught:
        read(tmp_path / "a.json")
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in (("nothing", "cannot be read (No such file"), ("", "cannot be read ("), ("bytes", "is no text")):
        with pytest.raises(StoreError) as caught:
            read(tmp_path / name)
        assert said in str(caught.value)
