"""The libraries that the command line loads: no heavy library where it can answer without."""

import subprocess
import sys
from pathlib import Path

import pytest

from results.store import Store
from tests.support.stocked import CELLS, IMPORTED, stock

LOADED = """
import contextlib, io, sys
from bench.main import main
for arguments in {verbs}:
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments
print(*{heavy} & set(sys.modules))
"""

IMPOSSIBLE = """
[[grid]]
problem = "spiral"
backend = "torchdiffeq"
solver = "rk4"
dt = 0.1
"""


def loaded(folder: Path, *verbs: str, heavy: set[str]) -> str:
    """The heavy libraries, with spaces between, that a process has loaded after it called these verbs."""
    code = LOADED.format(verbs=[verb.split() for verb in verbs], heavy=heavy)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_help_answers_without_the_heavy_libraries(tmp_path):
    heavy = {"torch", "pandas", "numpy", "scipy", "seaborn", "alembic"}
    assert loaded(tmp_path, "--help", "db --help", heavy=heavy) == ""


@pytest.mark.exhaustive
def test_the_verbs_load_no_torch_and_most_no_pandas(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        stock(store)
    (tmp_path / "a.json").write_text(IMPORTED)
    on = "--db bench.db"
    verbs = ("stats", "export a.csv", "import a.json", "prune", "rebuild", "annotate a-1 hm", "backup", "baseline x")
    assert loaded(tmp_path, *(f"db {verb} {on}" for verb in verbs), heavy={"torch", "pandas", "seaborn"}) == ""
    rest = ("db merge bench.db --db c.db", f"db baselines {on}", f"db upgrade {on}", f"db export a.parquet {on}")
    rest = (*rest, f"compare a-1 a-2 {on}", f"show {CELLS[0].key} --of a-1 {on}")
    assert loaded(tmp_path, *rest, heavy={"torch", "seaborn"}) == ""


@pytest.mark.exhaustive
def test_list_and_plan_answer_without_the_heavy_libraries(tmp_path):
    asked = ("list solvers", "list gradients", "list problems", "list backends", "list sweeps", "plan default")
    heavy = {"torch", "numpy", "pandas", "scipy", "torchdiffeq", "seaborn"}
    # The first time torch is loaded, to make the catalogue, unless that was made before.
    assert loaded(tmp_path, *asked, heavy=heavy) in ("", "torch numpy", "numpy torch")
    assert loaded(tmp_path, *asked, heavy=heavy) == ""


@pytest.mark.exhaustive
def test_a_run_with_nothing_pending_loads_no_heavy_library(tmp_path):
    (tmp_path / "mine.toml").write_text(IMPOSSIBLE)
    loaded(tmp_path, "run mine.toml --db bench.db", heavy=set())
    heavy = {"torch", "numpy", "pandas"}
    assert loaded(tmp_path, "run mine.toml --db bench.db", heavy=heavy) == ""
