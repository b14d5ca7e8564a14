"""What the command line loads: nothing heavy where it can answer without."""

import subprocess
import sys
from pathlib import Path

from stocked import IMPORTED, stock

from results.store import Store

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


def loaded(folder: Path, *verbs: str, heavy: set[str]) -> str:
    """What of the heavy libraries a process has that calls these verbs."""
    code = LOADED.format(verbs=[verb.split() for verb in verbs], heavy=heavy)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def test_help_answers_without_the_heavy_libraries(tmp_path):
    heavy = {"torch", "pandas", "numpy", "scipy", "seaborn", "alembic"}
    assert loaded(tmp_path, "--help", "db --help", heavy=heavy) == ""


def test_the_verbs_load_no_torch_and_most_no_pandas(tmp_path):
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        stock(store)
    (tmp_path / "a.json").write_text(IMPORTED)
    on = "--db bench.db"
    verbs = ("stats", "export a.csv", "import a.json", "prune", "rebuild", "annotate a-1 hm", "backup", "baseline x")
    assert loaded(tmp_path, *(f"db {verb} {on}" for verb in verbs), heavy={"torch", "pandas", "seaborn"}) == ""
    rest = ("db merge bench.db --db c.db", f"db baselines {on}", f"db upgrade {on}", f"db export a.parquet {on}")
    assert loaded(tmp_path, *rest, heavy={"torch", "seaborn"}) == ""


def test_a_plan_loads_no_library_that_only_solves_or_sums_up(tmp_path):
    assert loaded(tmp_path, "plan default --db bench.db", heavy={"torchdiffeq", "scipy", "pandas", "seaborn"}) == ""
