"""The catalogue of solvers, problems and modes: a cached file that replaces loading torch, for unchanged code only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

SWEEP = """
[[grid]]
problem = "spiral_net"
backend = ["node", "torchdiffeq"]
solver = ["rk4", "reversible_rk4"]
gradient = ["reversible", "adjoint"]
dt = 0.1
iterations = 1
optimiser = ["Adam", "LBFGS"]
"""
ASKED = """
import sys
from bench.main import main
for arguments in (["list", "solvers"], ["list", "problems"], ["list", "gradients"], ["plan", "mine.toml"]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        assert not end.code
print("torch" in sys.modules, file=sys.stderr)
"""


@pytest.fixture
def ask(tmp_path):
    """A function that runs the listing verbs in a new process: their output, and whether torch was loaded."""
    (tmp_path / "mine.toml").write_text(SWEEP)

    def asked(tree: Path = ROOT, cache: str = str(tmp_path / "cache"), **variables: str) -> tuple[str, bool]:
        environment = {**os.environ, "PYTHONPATH": str(tree), "XDG_CACHE_HOME": cache, **variables}
        command = [sys.executable, "-c", ASKED]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.stderr in ("True\n", "False\n"), done.stderr
        return done.stdout, done.stderr == "True\n"

    return asked


@pytest.mark.exhaustive
def test_the_cached_catalogue_equals_the_registries_and_a_damaged_one_is_replaced(ask, tmp_path):
    said, loads = ask()
    assert loads
    assert ask() == (said, False)
    (kept,) = (tmp_path / "cache").rglob("*.*")
    assert kept.name == "catalogue.json"
    kept.write_bytes(kept.read_bytes()[:-100])
    assert ask() == (said, True)
    assert ask() == (said, False)


@pytest.mark.exhaustive
def test_without_a_cache_folder_the_registries_are_asked(ask, tmp_path):
    (tmp_path / "file").touch()
    first, second = (ask(cache=str(tmp_path / "file")) for _ in range(2))
    assert first == second
    assert first[1]
    assert ask(cache="cache", HOME=".") == first  # neither is absolute: nothing is kept in the working folder
    assert {path.name for path in tmp_path.iterdir()} == {"file", "mine.toml"}


@pytest.mark.exhaustive
def test_an_edited_solver_is_seen_and_so_is_the_undoing_of_the_edit(ask, tmp_path):
    tree = tmp_path / "tree"
    for package in ("bench", "node", "results", "reports"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    said, _ = ask(tree)
    rk4 = tree / "node" / "solvers" / "explicit" / "rk4.py"
    before = rk4.read_text()
    rk4.write_text(before.replace("order=4", "order=3"))
    edited, loads = ask(tree)
    assert loads
    assert edited != said
    rk4.write_text(before)
    assert ask(tree) == (said, False)
