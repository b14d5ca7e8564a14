"""A user's own problems, backends and solvers: from a file, through the command line, to the page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from results.read.where import Where
from results.store import Store
from tests.support.places import EXAMPLES, ROOT
from tests.support.programs import MODULE, call

MEASURE = "[measure]\nprocesses = 1\nmax_processes = 1\nrounds = 3\ntimeout_s = 60.0\n"
GRIDS = {
    "problem": 'problem = "noisy_pendulum"\nbackend = "node"\nsolver = "rk4"\ngradient = "backprop"\ndt = 0.25\n'
    'iterations = 3\n"problem.width" = [4, 32]\nbatch_size = 2\n',
    "backend": 'problem = "cosine"\nbackend = ["node", "course"]\nsolver = "rk4"\ndt = 0.5\nhorizon = 1.0\n',
    "solver": 'problem = "cosine"\nbackend = "node"\nsolver = "zonneveld43"\nrtol = 1e-3\natol = 1e-3\nhorizon = 1.0\n',
}
NAMES = {"problem": "noisy_pendulum", "backend": "course", "solver": "zonneveld43"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a folder of sweeps, and the user's files beside these sweeps."""
    (tmp_path / "sweeps").mkdir()
    for kind, grid in GRIDS.items():
        shutil.copy(EXAMPLES / f"own_{kind}.py", tmp_path / "sweeps")
        text = f'use = ["own_{kind}.py"]\n{MEASURE}\n[[grid]]\n{grid}'
        (tmp_path / "sweeps" / f"{kind}.toml").write_text(text)
    return tmp_path


def nodebench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call(MODULE, *arguments, cwd=folder)


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", GRIDS)
def test_what_a_users_file_adds_is_measured_shown_and_measured_again_when_it_is_edited(folder, kind):
    sweep, database = f"sweeps/{kind}.toml", ("--db", "bench.db")
    assert nodebench(folder, "run", sweep, "--quiet", "--strict", *database).returncode == 0
    assert nodebench(folder, "report", *database, "-o", "page").returncode == 0
    assert NAMES[kind] in (folder / "page" / "index.html").read_text()
    with Store.open(str(folder / "bench.db")) as store:
        assert set(store.trials(Where())["status"]) == {"ok"}
    planned = nodebench(folder, "plan", sweep, *database).stdout
    cells = int(re.search(r"(\d+) cells?, \1 done", planned)[1])
    own = folder / "sweeps" / f"own_{kind}.py"
    own.write_text(own.read_text() + "\n# another text\n")
    due = 1 if kind == "backend" else cells  # the cell of the backend node depends on no file of the user
    assert f"{cells - due} done" in nodebench(folder, "plan", sweep, *database).stdout
    assert nodebench(folder, "run", sweep, "--quiet", "--strict", *database).returncode == 0
    with Store.open(str(folder / "bench.db")) as store, store.database.reading() as connection:
        query = "select count(*) from trial where kind = 'counts' group by cell_key"
        counts = [row[0] for row in connection.exec_driver_sql(query)]
    assert sorted(counts) == sorted([2] * due + [1] * (cells - due))


@pytest.mark.exhaustive
def test_a_file_that_the_users_file_imports_is_a_part_of_its_source(folder):
    own = folder / "sweeps" / "own_solver.py"
    (folder / "sweeps" / "weights.py").write_text("from constants import THIRD\n")
    (folder / "sweeps" / "constants.py").write_text("THIRD = 1 / 3\n")
    own.write_text(own.read_text().replace("B = (1 / 6, 1 / 3,", "from weights import THIRD\n\nB = (1 / 6, THIRD,"))
    nodebench(folder, "run", "sweeps/solver.toml", "--quiet", "--strict", "--db", "bench.db")
    assert "1 done" in nodebench(folder, "plan", "sweeps/solver.toml", "--db", "bench.db").stdout
    (folder / "sweeps" / "constants.py").write_text("THIRD = 2 / 6\n")
    assert "0 done" in nodebench(folder, "plan", "sweeps/solver.toml", "--db", "bench.db").stdout


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["problem", "backend", "solver"])
def test_a_new_file_passes_the_check_and_can_be_used_at_once(tmp_path, kind):
    assert nodebench(tmp_path, "new", kind, "of_mine").returncode == 0
    checked = nodebench(tmp_path, "check", "of_mine.py")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "all of it holds" in checked.stdout
    assert "of_mine" in nodebench(tmp_path, "list", f"{kind}s", "--use", "of_mine.py").stdout
    again = nodebench(tmp_path, "new", kind, "of_mine")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "of_mine.py exists and is left as it is" in again.stderr


PROBLEM = "from bench.problems import problem\n@problem(horizon=1.0)\n"
BAD = {
    "": "registers nothing",
    "1 / 0": "line 1: ZeroDivisionError: division by zero",
    "def f(:": "line 1: invalid syntax",
    "raise SystemExit(3)": "SystemExit: 3",
    "import no_such_module": "ModuleNotFoundError: No module named 'no_such_module'",
    f"{PROBLEM}def spiral(): ...": "two of the name 'spiral'",
    f"{PROBLEM}def mine(): ...\n@problem(horizon=2.0)\ndef mine(): ...": "two of the name",
    f"{PROBLEM}def mine(*, width): ...": "the option width has no default",
    f"{PROBLEM}def mine(*, f=print): ...": "the option f is None: annotate",
    f"{PROBLEM}def mine(width=3): ...": "its parameter width=3 is neither `cell` nor an option: write `*` before",
    "from node import SOLVERS\nSOLVERS.register(3)": "a solver is Solver, and this is 3",
}


@pytest.mark.parametrize("text", BAD)
def test_a_file_that_cannot_be_used_is_answered_in_one_line(folder, text):
    (folder / "sweeps" / "own_solver.py").write_text(text)
    done = nodebench(folder, "plan", "sweeps/solver.toml", "--db", "bench.db")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "own_solver.py" in done.stderr
    assert BAD[text] in done.stderr


def test_a_file_on_the_command_line_is_answered_as_one_in_a_sweep_is(folder):
    (folder / "sweeps" / "own_solver.py").write_text("1 / 0")
    in_sweep = nodebench(folder, "plan", "sweeps/solver.toml", "--db", "bench.db").stderr
    assert nodebench(folder, "plan", "smoke", "--use", "sweeps/own_solver.py", "--db", "bench.db").stderr == in_sweep


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("nowhere.py", "there is no such file in"),
        ("no_such_module", "no module is named 'no_such_module': for a file, write its path, no_such_module.py"),
        ("a b", "is neither a .py file nor the name of a module"),
        ("~nobody_at_all/x.py", "there is no such file in"),
    ],
)
def test_a_missing_file_or_module_is_answered_in_one_line(folder, use, said):
    done = nodebench(folder, "plan", "smoke", "--use", use, "--db", "bench.db")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_file_that_nobody_has_named_is_not_imported(folder):
    (folder / "sweeps" / "own_solver.py").write_text("open('imported', 'w')\n")
    assert nodebench(folder / "sweeps", "plan", "smoke", "--db", "bench.db").returncode == 0
    assert nodebench(folder / "sweeps", "list", "solvers").returncode == 0
    assert not list(folder.rglob("imported"))


@pytest.mark.exhaustive
def test_an_installed_entry_point_is_used_by_its_name(folder):
    site = folder / "site"
    info = site / "zonneveld-2.0.dist-info"
    info.mkdir(parents=True)
    shutil.copy(EXAMPLES / "own_solver.py", site / "zonneveld.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zonneveld\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[nodebench.solvers]\nzonneveld43 = zonneveld\nrk4 = zonneveld\n")
    sweep = folder / "sweeps" / "solver.toml"
    sweep.write_text(sweep.read_text().replace('use = ["own_solver.py"]', ""))
    without = nodebench(folder, "plan", "sweeps/solver.toml", "--db", "bench.db")
    assert "unknown solver 'zonneveld43'" in without.stderr

    def with_it(*arguments: str) -> subprocess.CompletedProcess[str]:
        return call(MODULE, *arguments, cwd=folder, PYTHONPATH=f"{ROOT}{os.pathsep}{site}")

    listed = with_it("list", "solvers")
    assert "zonneveld43  of zonneveld" in " ".join(listed.stdout.splitlines()[-1:])
    assert "the solver rk4 of zonneveld is not used: its name is taken (built in)" in listed.stderr
    assert "solver.safety" in with_it("list", "options", "zonneveld43").stdout
    assert "1 cell ok" in with_it("run", "sweeps/solver.toml", "--quiet", "--strict", "--db", "bench.db").stdout
    sweep.write_text(sweep.read_text().replace("zonneveld43", "rk4").replace("rtol = 1e-3\natol = 1e-3", "dt = 0.1"))
    done = with_it("run", "sweeps/solver.toml", "--quiet", "--db", "bench.db")
    assert ("1 cell ok" in done.stdout, done.stderr.count("is not used")) == (True, 1)
