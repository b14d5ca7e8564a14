"""An edit makes those trials pending whose code it touches, and no others: real runs of an edited copy of the tree."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from results.read.where import Where
from results.store import Store
from tests.support.places import ROOT

SWEEP = """
[measure]
processes = 1
max_processes = 1
rounds = 3

[[grid]]
problem = "spiral"
backend = ["node", "torchdiffeq"]
solver = "bosh3"
"rtol,atol" = [[1e-3, 1e-5]]
horizon = 0.5
n_outputs = 2
"""
SLEEP = "import time\n\ntime.sleep(0.01)\n"


@pytest.fixture
def tree(tmp_path) -> Path:
    """A copy of the packages, which may be edited, with a sweep of one cell per library."""
    for package in ("bench", "node", "results", "reports"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mine.toml").write_text(SWEEP)
    return tmp_path


def nodebench(tree: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "bench", *arguments, "--db", str(tree / "bench.db")]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def edit(path: Path, said: str = "# another line\n") -> None:
    path.write_text(f"{path.read_text()}\n{said}")


def measured(tree: Path) -> dict[str, int]:
    """The number of kinds of trial that the plan says are done, by library."""
    lines = [line for line in nodebench(tree, "plan", "mine.toml").splitlines() if " bosh3 " in line]
    return {line.split()[2]: int(line.rpartition("  ")[2].split("/")[0]) for line in lines}


@pytest.mark.exhaustive
def test_an_edited_solver_is_measured_again_and_the_older_number_is_history(tree):
    nodebench(tree, "run", "mine.toml")
    assert measured(tree) == {"node": 4, "torchdiffeq": 4}
    solve = tree / "node" / "entrance.py"
    text = solve.read_text()
    head, body = text.split("def solve(", 1)
    first, rest = body.split('    """', 2)[0], body.split('    """', 2)
    solve.write_text(
        f'{head}def solve({first}    """{rest[1]}    """\n    import time\n\n    time.sleep(0.05)\n{rest[2]}'
    )
    assert measured(tree) == {"node": 0, "torchdiffeq": 3}, "the true values of its error are computed by node"
    page = nodebench(tree, "report", "-o", str(tree / "page"))
    assert page
    said = "node and the measuring of accuracy have changed here since: what is shown was measured of the code"
    assert said in (tree / "page" / "index.html").read_text()
    said = nodebench(tree, "run", "mine.toml")
    assert "0 to do" in said
    with Store.open(str(tree / "bench.db")) as store:
        timings = Where(kind="timing")
        samples, history = store.samples(timings), store.samples(timings, newest=False)
        node = {key for key in store.cells()["key"] if store.cell(key).backend == "node"}
        assert samples[samples["cell_key"].isin(node)]["value"].min() > 0.05
        assert history[history["cell_key"].isin(node)]["value"].min() < 0.05
    assert "0 trials measured" in nodebench(tree, "run", "mine.toml")
    solve.write_text(text)
    assert measured(tree) == {"node": 4, "torchdiffeq": 4}, "the edit was undone: what was measured counts again"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("edited", "due"),
    [
        ("bench/backends/torchdiffeq.py", {"node": 4, "torchdiffeq": 0}),
        ("node/controller.py", {"node": 0, "torchdiffeq": 0}),  # the other library's steps are laid out by it
        ("node/vector_field.py", {"node": 0, "torchdiffeq": 1}),  # the other library's calls are counted by it
        ("bench/workload.py", {"node": 0, "torchdiffeq": 0}),
        ("node/models/mlp.py", {"node": 0, "torchdiffeq": 3}),  # node computes the true values
        ("bench/problems/spiral.py", {"node": 0, "torchdiffeq": 0}),
        ("bench/measures/memory.py", {"node": 3, "torchdiffeq": 3}),
        ("bench/problems/lorenz.py", {"node": 4, "torchdiffeq": 4}),
        ("bench/answers/columns.py", {"node": 4, "torchdiffeq": 4}),
        ("results/format.py", {"node": 4, "torchdiffeq": 4}),
    ],
)
def test_an_edit_makes_those_trials_pending_whose_code_it_touches(tree, edited, due, recorded):
    shutil.copy(recorded, tree / "bench.db")
    edit(tree / edited)
    assert measured(tree) == due


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """A database in which the whole sweep was measured with the unedited code."""
    folder = tmp_path_factory.mktemp("recorded")
    for package in ("bench", "node", "results", "reports"):
        (folder / package).symlink_to(ROOT / package)
    (folder / "mine.toml").write_text(SWEEP)
    nodebench(folder, "run", "mine.toml")
    return folder / "bench.db"
