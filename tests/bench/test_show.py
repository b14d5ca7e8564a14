"""`nodebench show`: all that is known of one cell."""

import re

import pytest

from results.store import Store
from tests.support.stocked import CELLS, stock


@pytest.fixture
def stocked(url) -> str:
    with Store.open(url, create=True) as store:
        stock(store)
    return url


def test_a_note_is_stored_and_shown(call, stocked):
    code, out, _ = call("db", "annotate", CELLS[1].key[:8], "look at this", "--db", stocked)
    assert (code, out) == (0, f"noted on cell {CELLS[1].key}\n")
    out = call("show", CELLS[1].key, "--db", stocked)[1]
    assert "look at this" in out
    assert re.search(r"me +run a-1 +a warm day", out)


def test_the_output_of_the_processes_is_shown_after_the_tables(call, stocked):
    out = call("show", CELLS[0].key, "--db", stocked)[1]
    tables, *printed = out.split("\nprinted by ")
    assert "a line" not in tables
    assert printed[0] == "timing 0 of run a-1\n    a line\n    and another\n"
    trials = tables.partition("\ntrials\n")[2].partition("\n\n")[0].splitlines()
    assert trials[0].split() == ["kind", "process_index", "status", "reason", "duration_s", "position", "code"]
    assert trials[1].endswith("changed since")
    assert len({line.index("0.5") for line in trials[1:]}) == 1
