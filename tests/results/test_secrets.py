"""The secrets in the URL of a database are in no output and no file."""

from pathlib import Path

import pytest

from results.store import Store
from results.write.spool import Spool
from tests.support.stocked import IMPORTED, a_trial, stock

SECRET = "geheim"
UNREACHABLE = "postgresql://me:geheim@localhost:1/name?sslpassword=geheim&token=geheim&options=-cmy.key%3Dgeheim"
URLS = (
    UNREACHABLE,
    "postgres://me:geheim@localhost/name?token=geheim",
    "mysql://me:geheim@localhost/name?token=geheim",
    "postgresql://me:geheim@localhost?token=geheim",
    "postgresql://me:geheim@localhost:port/name?token=geheim",
    "postgresql://localhost:1/name?passwort=geheim",
    "sqlite://me:geheim@host/bench.db?token=geheim",
    "sqlite:///bench.db?token=geheim",
    "sqlite:///:memory:?token=geheim",
)
VERBS = (
    ("plan", "smoke"), ("run", "smoke"), ("report",), ("show",), ("show", "0123"),
    ("db", "stats"), ("db", "check"), ("db", "runs"), ("db", "close"), ("db", "backup"), ("db", "upgrade"),
    ("db", "prune"), ("db", "rebuild"), ("db", "baselines"), ("db", "import", "a.json"), ("db", "export", "a.csv"),
    ("db", "merge", "b.db"),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "a.json").write_text(IMPORTED)
    return tmp_path


def holding(folder: Path) -> list[Path]:
    """The files that hold the secret."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


@pytest.mark.parametrize("url", URLS)
def test_a_url_that_cannot_be_used_shows_no_secret(url, folder, call):
    for verb in VERBS if url == UNREACHABLE else VERBS[:1]:
        code, out, err = call(*verb, "--db", url)
        assert code in (1, 2), verb
        assert SECRET not in out + err
        assert err.count("\n") <= 2
    assert call("db", "merge", url, "--db", "ours.db")[0] == 2
    assert not holding(folder)


def test_a_server_that_is_used_shows_no_secret(server_url, folder, call):
    url = server_url.replace("nodebench@", "nodebench:geheim@") + "&options=-cmy.key%3Dgeheim"
    with Store.open(url, create=True) as store:
        stock(store)
        Spool.of(store.database).put("a-1", a_trial(process_index=9))
    for verb in VERBS:
        if verb[0] != "run" and verb != ("db", "merge", "b.db"):
            code, out, err = call(*verb, "--db", url)
            assert SECRET not in out + err, verb
            assert code in (0, 1) or verb == ("show", "0123"), (verb, err)
    assert call("db", "merge", url, "--db", "ours.db")[0] == 0
    assert not holding(folder)
