"""The script `twins`, which checks whether the intervals hold: it runs and prints a result, good or bad."""

import subprocess
import sys

import pytest

from tests.support.places import EXAMPLES

SCRIPT = EXAMPLES / "twins"


@pytest.mark.exhaustive
def test_the_script_compares_blocks_of_twins_with_cells_in_turn():
    """The script may have to wait for other tests' runs on this machine."""
    command = [sys.executable, str(SCRIPT), "--blocks", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr
    header, row, *_ = done.stdout.splitlines()
    assert header.split("  ")[0] == "block"
    assert row.split()[0] == "1"
    assert "Interleaved, " in done.stdout
    assert "One after the other, with as many samples:" in done.stdout
