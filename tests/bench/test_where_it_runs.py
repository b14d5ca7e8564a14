"""Runs with an unsuitable working folder, TMPDIR, HOME or rights: real processes."""

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.store import Store
from tests.support.hostile_folder import CUSTOM, fill, imported, loaded_by
from tests.support.programs import MODULE, ROOT, SWEEP, call, script

WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
OWN_MOUNTS = ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--mount", "--map-root-user")
TEMPORARY = ("/tmp", "/var/tmp", "/usr/tmp", "/dev/shm")
LINE = r"nodebench: [^\n]+\n"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path short enough for sockets in it, which pytest's folders may not have."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    (tmp_path / "tiny.toml").write_text(SWEEP)
    return str(tmp_path / "tiny.toml")


def ends(database: Path) -> set[str]:
    with Store.open(str(database)) as store:
        return set(store.trials()["status"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("started_as", ["script", "module"])
def test_nothing_of_the_working_folder_is_imported(started_as, tmp_path, sweep):
    command, here = (script(tmp_path / "bin") if started_as == "script" else MODULE), tmp_path / "here"
    here.mkdir()
    # `python -m` looks for its module there by design, and loads some modules of its own to do so.
    fill(here, leave_out={"bench", *loaded_by("-m", "nothing_else", folder=tmp_path)} if started_as == "module" else ())
    (here / "matplotlibrc").write_bytes(b"\xff\xfe no text")
    done = call(command, "run", sweep, cwd=here)
    assert (done.returncode, imported(here)) == (0, []), done.stderr
    assert ends(here / "out" / "bench.db") == {"ok"}
    page = call(command, "report", cwd=here)
    assert (page.returncode, page.stderr, imported(here)) == (0, "", [])


@pytest.mark.exhaustive
@pytest.mark.parametrize("entry", ["", "."])
def test_nothing_of_the_working_folder_is_imported_through_pythonpath(entry, tmp_path, sweep):
    here = tmp_path / "here"
    here.mkdir()
    fill(here, leave_out=CUSTOM | loaded_by("-c", "import re, sys\nprint(*sys.modules)", folder=tmp_path))
    paths = os.pathsep.join([str(ROOT), entry])
    done = call(script(tmp_path / "bin"), "run", sweep, cwd=here, PYTHONPATH=paths)
    assert (done.returncode, imported(here)) == (0, []), done.stderr
    assert ends(here / "out" / "bench.db") == {"ok"}


STARTED = """
from bench import working_folder
working_folder.leave_import_path()
from bench.worker import forkserver
if __name__ == "__main__":
    for device in ("cpu", "cuda"):
        process = forkserver.context(device).Process(target=exec, args=("import random, json, colorsys",))
        forkserver.begin(process)
        process.join()
        print(process.exitcode)
"""


@pytest.mark.exhaustive
def test_a_forked_and_a_spawned_worker_import_nothing_of_the_working_folder(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    fill(here)
    (tmp_path / "started.py").write_text(STARTED)
    done = call([sys.executable, str(tmp_path / "started.py")], cwd=here)
    assert (done.stdout, imported(here)) == ("0\n0\n", []), done.stderr


@pytest.mark.exhaustive
def test_a_program_that_imports_the_forkserver_keeps_its_path_and_environment(tmp_path):
    code = """
import os, sys
before = list(sys.path), dict(os.environ)
from bench.worker import forkserver
forkserver.start()
assert before == (sys.path, dict(os.environ)) and sys.path[0] == ""
"""
    done = call([sys.executable, "-c", code], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


DRAW = """
from results import format as text
from reports.figures import drawings
from reports.views.parts.figure import Axis, Line, Panel
line = Line("rk4", "node", ((0.5, 1e-2), (0.25, 1e-3)), label="rk4 4.0")
print(drawings(Panel("cosine", Axis("step", text.tolerance), Axis("error", text.error), (line,))))
"""


@pytest.mark.exhaustive
def test_a_figure_is_the_same_beside_any_matplotlibrc(tmp_path):
    plain = call([sys.executable, "-P", "-c", DRAW], cwd=tmp_path)
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\nlines.linewidth: 9\nno such key: 1\n")
    beside = call([sys.executable, "-P", "-c", DRAW], cwd=tmp_path, MATPLOTLIBRC=str(tmp_path))
    assert (beside.returncode, beside.stdout, beside.stderr) == (0, plain.stdout, "")
    assert "<svg" in plain.stdout


@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["long", "missing", "a file"])
def test_an_unsuitable_tmpdir_does_not_stop_a_run(kind, tmp_path, sweep):
    folder = tmp_path.joinpath(*["a folder with a long name"] * 5)
    if kind == "long":
        folder.mkdir(parents=True)
    if kind == "a file":
        folder = Path(sweep)
    done = call(MODULE, "run", sweep, cwd=tmp_path, TMPDIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert ends(tmp_path / "out" / "bench.db") == {"ok"}
    assert not folder.is_dir() or not list(folder.iterdir())


def test_where_no_temporary_folder_can_be_written_a_run_says_so_in_one_line(tmp_path):
    locked = "; ".join(f"if [ -d {place} ]; then mount --bind --options ro {place} {place}; fi" for place in TEMPORARY)
    if subprocess.run([*OWN_MOUNTS, "sh", "-ec", locked], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount a folder read-only for a process")
    before = (*OWN_MOUNTS, "sh", "-ec", f'{locked}; exec "$@"', "sh")
    done = call(MODULE, "run", "smoke", cwd=tmp_path, before=before, TMPDIR="/nowhere")
    assert done.returncode == 2
    assert re.fullmatch(LINE, done.stderr), done.stderr
    assert all(place in done.stderr for place in ("/nowhere", *TEMPORARY))
    assert "set TMPDIR" in done.stderr


@pytest.mark.exhaustive
@pytest.mark.parametrize("rights", [0o000, 0o500])
def test_a_home_that_cannot_be_used_does_not_stop_a_run_or_a_report(rights, tmp_path, sweep):
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(rights)
    done = call(MODULE, "run", sweep, cwd=tmp_path, before=WITHOUT_PRIVILEGES, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert ends(tmp_path / "out" / "bench.db") == {"ok"}
    page = call(MODULE, "report", cwd=tmp_path, before=WITHOUT_PRIVILEGES, HOME=str(home))
    assert (page.returncode, page.stderr) == (0, "")
    home.chmod(stat.S_IRWXU)
    assert not list(home.iterdir())


@pytest.mark.exhaustive
@pytest.mark.parametrize("rights", [0o000, 0o500])
def test_a_working_folder_that_cannot_be_used_does_not_stop_a_run_elsewhere(rights, tmp_path, sweep):
    here, database = tmp_path / "here", tmp_path / "bench.db"
    here.mkdir()
    command = script(tmp_path / "bin")
    entered = ("sh", "-ec", f'cd {here}; chmod {rights:o} .; exec "$@"', "sh")
    arguments = ("run", sweep, "--db", str(database))
    done = call(command, *arguments, cwd=tmp_path, before=(*entered, *WITHOUT_PRIVILEGES))
    assert done.returncode == 0, done.stderr
    assert ends(database) == {"ok"}
    refused = call(command, "run", sweep, cwd=tmp_path, before=(*entered, *WITHOUT_PRIVILEGES))
    assert (refused.returncode, bool(re.fullmatch(LINE, refused.stderr))) == (2, True)


def test_a_working_folder_that_was_deleted_is_reported_in_one_line(tmp_path):
    (tmp_path / "here").mkdir()
    before = ("sh", "-ec", f'cd {tmp_path}/here; rmdir ../here; exec "$@"', "sh")
    done = call(script(tmp_path / "bin"), "list", "solvers", cwd=tmp_path, before=before)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(LINE, done.stderr)
    assert "deleted" in done.stderr


@pytest.mark.exhaustive
def test_the_next_run_removes_the_temporary_folder_of_a_killed_run_and_no_other(short, tmp_path, sweep):
    command, environment = [*MODULE, "run", sweep], {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(short)}
    running = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not list(short.glob("nodebench-run-*/worker-*/log")) and time.monotonic() < until:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    (left,) = short.iterdir()
    (own := short / "nodebench-run-baseline").mkdir()
    (own / "results.csv").touch()
    (own / "process").touch()
    done = call(MODULE, "run", sweep, cwd=tmp_path, TMPDIR=str(short))
    assert done.returncode == 0, done.stderr
    assert left != own
    assert list(short.iterdir()) == [own]


HOLD = "from bench.machine.temporary import folder; print(folder(), flush=True); input()"


@pytest.mark.exhaustive
def test_runs_at_the_same_time_have_different_temporary_folders(short):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(short)}
    command, pipe = [sys.executable, "-c", HOLD], subprocess.PIPE
    holding = [subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(8)]
    folders = [Path(process.stdout.readline().strip()) for process in holding if process.stdout]
    assert len(set(folders)) == 8
    assert set(short.iterdir()) == set(folders)
    for process in holding:
        process.communicate("\n", timeout=60)
    assert list(short.iterdir()) == []


REVISION = "from bench.machine.environment import git_revision; print(*git_revision())"


def revision(root: Path, **variables: str) -> str:
    return call([sys.executable, "-P", "-c", REVISION], cwd=root, PYTHONPATH=str(root), **variables).stdout.strip()


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=hm", "-c", "user.email=hm@localhost")
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_revision_is_found_in_a_folder_whose_name_is_not_utf_8(tmp_path):
    root = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(ROOT / "bench", root / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "results").symlink_to(ROOT / "results")
    git(root, "init", "-q")
    git(root, "add", "bench")
    git(root, "commit", "-qm", "first")
    assert revision(root) == f"{git(root, 'rev-parse', 'HEAD')} False"


@pytest.mark.exhaustive
def test_the_revision_is_of_our_own_checkout_alone(tmp_path):
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for root in (theirs / "site-packages", ours):
        for package in ("bench", "results"):
            shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for repository in (theirs, ours):
        git(repository, "init")
        git(repository, "add", ".")
        git(repository, "commit", "--message", "all of it")
    head = git(ours, "rev-parse", "HEAD")
    assert revision(theirs / "site-packages") == "False"
    assert revision(theirs / "site-packages", GIT_DIR=str(ours / ".git"), GIT_WORK_TREE=str(ours)) == "False"
    assert revision(ours, GIT_DIR=str(theirs / ".git"), GIT_INDEX_FILE=str(tmp_path / "index")) == f"{head} False"
    (ours / "bench" / "__init__.py").write_text("changed = True\n")
    assert revision(ours) == f"{head} True"
