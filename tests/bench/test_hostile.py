"""The script `hostile`, which gives damaged files to the verbs: it runs, and it finds planted faults."""

import subprocess
import sys

import pytest

from tests.support.places import EXAMPLES

SCRIPT = EXAMPLES / "hostile"
PLANTED = """
import sys
sys.path.insert(0, {script!r})
sys.argv = ["hostile", "--databases", "0", "--imports", "6", "--seed", "2"]
from results.tools import pytest_benchmark
from results.schema import rules
{fault}
import runpy
runpy.run_path({script!r}, run_name="__main__")
"""
FAULTS = {
    "a traceback": "pytest_benchmark._text = lambda path: 1 / 0",
    "no answer within": "pytest_benchmark._text = lambda path: [*iter(int, 1)]",
}


@pytest.mark.exhaustive
def test_a_few_damaged_databases_and_files_leave_no_finding():
    command = [sys.executable, str(SCRIPT), "--databases", "15", "--imports", "15", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("15 databases, 15 files to import: no finding(s)\n"), done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("said", FAULTS)
def test_the_script_finds_planted_faults(said):
    code = PLANTED.format(script=str(SCRIPT), fault=FAULTS[said])
    command = [sys.executable, "-c", code.replace('"6"', '"1"')]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
