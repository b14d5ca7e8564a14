"""The script `interrupts`, which interrupts hundreds of runs: it runs, and it finds planted faults."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from results.store import Store
from tests.support.places import EXAMPLES
from tests.support.small_runs import CELL, run, sweep_of

SCRIPT = EXAMPLES / "interrupts"
PLANTED = {
    "DELETE FROM sample WHERE round_index = 2": "half there",
    "DELETE FROM metric WHERE name = 'nfe_forward'": "half there",
    "DELETE FROM metric WHERE trial_id = (SELECT id FROM trial WHERE kind = 'memory')": "half there",
    "UPDATE trial SET status = 'crashed' WHERE kind = 'memory'": "is crashed",
    "UPDATE trial SET started_at = 0 WHERE kind = 'counts'": "earlier trials are gone or changed",
    "DELETE FROM trial WHERE kind = 'twin'": "foreign_key_check",
    "DELETE FROM summary": "summary and trials differ",
    "UPDATE run SET state = 'interrupted'": "earlier runs changed",
}


@pytest.fixture
def parts(monkeypatch):
    """The script's modules."""
    monkeypatch.syspath_prepend(str(SCRIPT))
    import disturbed
    import held
    import promises

    return disturbed, held, promises


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("measured") / "bench.db"
    with Store.open(str(path), create=True) as store:
        assert run(store, sweep_of(CELL))
    return path


@pytest.mark.parametrize("fault", PLANTED)
def test_the_script_finds_forbidden_changes_of_a_database(fault, parts, measured, tmp_path):
    disturbed, held, promises = parts
    before = held.read(measured)
    shapes = {(kind, gradient): {shape} for _, kind, gradient, shape in before.shapes.values()}
    ended = disturbed.Ended(-9, "", "", 0, disturbed.Seen())
    killed = replace(ended, sent=(disturbed.Sent(_blow("SIGKILL"), 1e12, True),))
    assert list(promises.broken(killed, before, before, shapes)) == []
    copy = tmp_path / "bench.db"
    copy.write_bytes(measured.read_bytes())
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(fault)
    assert PLANTED[fault] in "\n".join(promises.broken(killed, before, held.read(copy), shapes))


@pytest.mark.parametrize(
    ("name", "code", "out", "err", "fault"),
    [
        ("SIGINT", 130, "", "nodebench: interrupted\n", None),
        ("SIGHUP", 0, "four: done\n", "", "exit code 0"),
        ("SIGTERM", 143, "", "nodebench: interrupted by SIGTERM\n" * 2, "said twice"),
        ("SIGTERM", 143, "", "", "0 lines on the interruption"),
        ("SIGINT", 130, "", "Traceback (most recent call last):\nnodebench: interrupted\n", "a traceback"),
        ("SIGSTOP", -9, "", "", "exit code -9"),
    ],
)
def test_the_script_finds_forbidden_output_and_exit_codes(name, code, out, err, fault, parts):
    disturbed, held, promises = parts
    sent = (disturbed.Sent(_blow(name), 0.0, True),)
    ended = disturbed.Ended(code, out, err, 0, disturbed.Seen(), sent)
    found = list(promises.broken(ended, held.Held(), held.Held(), {}))
    assert found == [] if fault is None else fault in "\n".join(found)


def _blow(name: str):
    from interruption import PlannedSignal, signal

    return PlannedSignal(signal.Signals[name], 0.0, False)


@pytest.mark.exhaustive
def test_three_runs_that_are_interrupted_at_random_moments_keep_what_is_promised():
    """The script may have to wait for other tests' runs on this machine."""
    command = [sys.executable, str(SCRIPT), "--interruptions", "3", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs interrupted in " in done.stdout
