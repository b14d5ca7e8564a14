"""Extensions of one file each: a gradient mode and a verb.

The others are tested elsewhere. A problem, a backend and a solver: tests/bench/test_own.py. A metric:
tests/results/test_metrics.py. A section: tests/reports/test_sections.py.
"""

import shutil
from pathlib import Path

import pytest

from tests.support.places import ROOT
from tests.support.programs import MODULE, call

MODE = '''
from dataclasses import dataclass

from node.adjoint import ADJOINTS, Backprop


@dataclass(frozen=True)
class Scaled(Backprop):
    """Backprop under another name.

    kept: states that it would keep, if it kept any.
    """

    kept: int = 4

    name = "scaled"


ADJOINTS.register(Scaled())
'''
SWEEP = """
use = ["mode.py"]

[measure]
processes = 1
max_processes = 1
rounds = 3

[[grid]]
problem = "cosine"
backend = "node"
solver = "rk4"
dt = 0.5
horizon = 1.0
gradient = "scaled"
"gradient.kept" = [4, 8]
"""
VERB = '''"""The verb hello: a greeting."""

from bench.verbs.base import verb


@verb("nodebench hello you")
def hello(name: str) -> None:
    """Greet somebody."""
    print(f"hello {name}")
'''


@pytest.mark.exhaustive
def test_a_gradient_mode_is_one_file_and_its_options_are_its_fields(tmp_path: Path) -> None:
    (tmp_path / "mode.py").write_text(MODE)
    (tmp_path / "mine.toml").write_text(SWEEP)
    done = call(MODULE, "run", "mine.toml", "--strict", "--quiet", "--db", "bench.db", cwd=tmp_path)
    assert (done.returncode, "\n2 cells ok\n" in done.stdout) == (0, True), done.stderr
    options = call(MODULE, "list", "options", "scaled", "--use", "mode.py", cwd=tmp_path).stdout
    assert "gradient.kept" in options
    assert "states that it would keep, if it kept any" in options
    assert "all of it holds" in call(MODULE, "check", "mode.py", cwd=tmp_path).stdout


def test_a_verb_is_one_file(tmp_path: Path) -> None:
    for package in ("bench", "node", "results", "reports"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "bench" / "verbs" / "hello.py").write_text(VERB)
    done = call(MODULE, "hello", "you", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("hello you\n", "")
    assert "Greet somebody." in call(MODULE, "--help", cwd=tmp_path, PYTHONPATH=str(tmp_path)).stdout
