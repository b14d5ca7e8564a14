"""`--only`: the same filter at each verb."""

import pytest

from results.read.where import Where
from results.store import Store
from tests.support import three_runs

SWEEP = """
title = "Small"

[[grid]]
problem = "spiral"
backend = ["node", "torchdiffeq"]
solver = ["bosh3", "dopri5"]
"rtol,atol" = [[1e-3, 1e-5], [1e-4, 1e-6]]
device = ["cpu", "cuda:99"]
"""
FILTER = ("--only", "device=cuda:99", "--only", "solver=bosh3 rtol=0.001,1e-4")  # unavailable: nothing is measured


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SWEEP)
    return tmp_path


@pytest.mark.exhaustive
def test_a_run_measures_the_cells_that_the_filter_chooses_and_no_others(folder, call):
    assert "Small: 4 cells, 0 done" in call("plan", "small.toml", *FILTER)[1]
    code, out, _ = call("run", "small.toml", *FILTER)
    assert code == 0
    assert "4 cells unavailable" in out
    assert "Small: 4 cells, 4 done" in call("plan", "small.toml", *FILTER)[1]
    assert "Small: 16 cells, 4 done" in call("plan", "small.toml")[1]
    with Store.open("out/bench.db") as store:
        cells = store.planned()
        trials = store.trials()
    assert len(cells) == 16, "the others stay planned"
    assert len(trials) == 4


def test_show_lists_the_cells_that_the_filter_chooses(call, three_runs_url):
    failed = three_runs.FAILED
    code, out, _ = call("show", f"solver={failed.solver}", "--db", three_runs_url)
    assert code == 0
    with Store.open(three_runs_url) as store:
        every = list(store.cells()["key"])
        chosen = list(store.cells(Where(solver=failed.solver))["key"])
    assert {line.split()[0] for line in call("show", "--db", three_runs_url)[1].splitlines()[3:]} == {
        key[:8] for key in every
    }
    if len(chosen) > 1:
        assert {line.split()[0] for line in out.splitlines()[3:]} == {key[:8] for key in chosen}
    code, out, _ = call("show", f"key={failed.key[:8]}", "--db", three_runs_url)
    assert out.startswith(f"{failed.key}  ")
    assert "crashed" in out


@pytest.mark.exhaustive
def test_a_report_is_about_the_cells_that_the_filter_chooses(call, folder, measured_path):
    with Store.open(str(measured_path)) as store:
        cells = store.cells()
    code, _, _ = call("report", "--only", "solver=dopri5", "--db", str(measured_path), "-o", "page")
    assert code == 0
    page = (folder / "page/index.html").read_text()
    shown = {key for key in cells["key"] if f'id="{key}"' in page}
    assert shown == set(cells.loc[cells["solver"] == "dopri5", "key"])
    code, _, err = call("report", "--only", "solver=dopri55", "--db", str(measured_path), "-o", "none")
    assert (code, err.count("\n")) == (2, 1)
    assert "only: no cell has solver='dopri55'. Did you mean 'dopri5'? There are: " in err
    assert not (folder / "none").exists()
