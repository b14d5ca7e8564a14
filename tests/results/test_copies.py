"""A database that is only read stays as it is, byte for byte, and so do the files beside it."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.schema.tables import SCHEMA_VERSION
from results.store import Store
from tests.support.places import DATABASES, ROOT
from tests.support.stocked import contents, stock

OLD = sorted(DATABASES.glob("version_*.db"))


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder in which temporary copies are made."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def state(folder: Path) -> dict[str, str]:
    """The hash of each file's content; empty for a -shm file, SQLite's index of a -wal file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.name: "" if path.name.endswith("-shm") else hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.fixture
def theirs(tmp_path) -> Path:
    (tmp_path / "theirs").mkdir()
    return tmp_path / "theirs" / "other.db"


def merge(theirs: Path, ours: Path, call) -> str:
    code, out, err = call("db", "merge", str(theirs), "--db", str(ours))
    assert code == 0, err
    assert out.startswith(f"from {theirs}: ")
    return err


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.stem)
def test_merging_leaves_an_old_database_byte_for_byte(old, theirs, tmp_path, temporary, call):
    shutil.copy(old, theirs)
    before = state(theirs.parent)
    said = merge(theirs, tmp_path / "ours.db", call)
    assert f"{theirs} has schema version {OLD.index(old) + 1} and stays as it is: a temporary copy of it" in said
    assert state(theirs.parent) == before
    assert list(temporary.iterdir()) == []
    with Store.open(str(tmp_path / "ours.db")) as ours, Store.open(str(theirs)) as upgraded:
        assert contents(ours, "lease") == contents(upgraded, "lease")


def test_merging_leaves_a_current_database_byte_for_byte(theirs, tmp_path, temporary, call):
    with Store.open(str(theirs), create=True) as store:
        stock(store)
    before = state(theirs.parent)
    assert merge(theirs, tmp_path / "ours.db", call) == ""
    assert state(theirs.parent) == before
    assert list(temporary.iterdir()) == []


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[2])
from tests.support.stocked import stock
from results.store import Store
from results.schema.tables import SCHEMA_VERSION
store = Store.open(sys.argv[1], create=True)
stock(store)
os._exit(9)
"""


@pytest.mark.exhaustive
@pytest.mark.parametrize("with_index", [True, False])
def test_merging_reads_the_write_ahead_log_of_a_killed_run_and_leaves_it_there(theirs, tmp_path, call, with_index):
    subprocess.run([sys.executable, "-c", KILLED, str(theirs), str(ROOT)], check=False)
    if not with_index:  # as if the other two files were copied
        theirs.with_name("other.db-shm").unlink()
    before = state(theirs.parent)
    assert "other.db-wal" in before
    merge(theirs, tmp_path / "ours.db", call)
    assert state(theirs.parent) == before
    with Store.open(str(tmp_path / "ours.db")) as ours, Store.open(str(theirs)) as same:
        assert contents(ours, "lease") == contents(same, "lease")
        assert not ours.trials().empty


def test_merging_sees_all_that_another_process_has_written(theirs, tmp_path, call):
    with Store.open(str(theirs), create=True) as writer:
        stock(writer)
        before = state(theirs.parent)
        merge(theirs, tmp_path / "ours.db", call)
        assert state(theirs.parent) == before
        with Store.open(str(tmp_path / "ours.db")) as ours:
            assert contents(ours, "lease") == contents(writer, "lease")
        writer.finish("a-1", state="interrupted")


@pytest.fixture
def archive(tmp_path) -> Iterator[Path]:
    """An old database in a folder where nothing can be written."""
    folder = tmp_path / "archive"
    folder.mkdir()
    shutil.copy(OLD[0], folder / "bench.db")
    (folder / "bench.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder / "bench.db"
    folder.chmod(0o755)


def as_common_user(archive: Path, temporary: Path, *verb: str) -> subprocess.CompletedProcess[str]:
    """Run the command line without root's privilege to ignore file permissions, also where the tests run as root."""
    capabilities = "-dac_override,-dac_read_search"
    root = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"] if os.geteuid() == 0 else []
    command = [*root, sys.executable, "-m", "bench", *verb, "--db", str(archive)]
    environment = os.environ | {"TMPDIR": str(temporary)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder_too", [True, False])
def test_an_old_database_on_read_only_media_is_read_from_an_upgraded_copy(archive, temporary, folder_too):
    before = state(archive.parent)
    archive.parent.chmod(0o555 if folder_too else 0o755)
    done = as_common_user(archive, temporary, "db", "stats")
    assert done.returncode == 0, done.stderr
    assert f"{archive}: SQLite" in done.stdout
    assert done.stderr == (
        f"nodebench: {archive} has schema version 1 and stays as it is: "
        f"a temporary copy of it, upgraded to {int(SCHEMA_VERSION)}, is read\n"
    )
    assert state(archive.parent) == before
    assert list(temporary.iterdir()) == []


def test_an_upgrade_where_nothing_can_be_written_is_refused(archive, temporary):
    done = as_common_user(archive, temporary, "db", "upgrade")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "bench.db cannot be written (attempt to write a readonly database): copy it to where it can be" in done.stderr
    )
    assert done.stderr.count("\n") == 1


def test_a_copy_that_cannot_be_made_is_reported_in_one_line(theirs, tmp_path, monkeypatch, call):
    shutil.copy(OLD[0], theirs)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    code, _, err = call("db", "merge", str(theirs), "--db", str(tmp_path / "ours.db"))
    assert (code, err.count("\n")) == (2, 1)
    assert f"{theirs} cannot be copied to be read (" in err
    assert err.endswith("make room, or set TMPDIR to a folder that has it\n")
    assert not (tmp_path / "ours.db").exists()


def test_writing_to_a_temporary_copy_is_refused(archive, temporary):
    done = as_common_user(archive, temporary, "db", "baseline", "good")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{archive} cannot be written (attempt to write a readonly database): copy it to where it can" in done.stderr
    assert list(temporary.iterdir()) == []


def test_the_next_process_removes_the_copy_of_a_killed_process_and_nothing_else(theirs, temporary):
    shutil.copy(OLD[0], theirs)
    (own := temporary / "nodebench-copy-of-my-thesis").mkdir()
    (own / "process").write_text("chapter 1")
    killed = "import os, sys; from results.store import Store; s = Store.open(sys.argv[1], as_it_is=True); os._exit(9)"
    subprocess.run(
        [sys.executable, "-c", killed, str(theirs)], env=os.environ | {"TMPDIR": str(temporary)}, check=False
    )
    (left,) = set(temporary.iterdir()) - {own}
    with Store.open(str(theirs), as_it_is=True):
        (folder,) = set(temporary.iterdir()) - {own}
        assert folder != left
        with Store.open(str(theirs), as_it_is=True):
            assert len(list(temporary.iterdir())) == 3
    assert list(temporary.iterdir()) == [own]
