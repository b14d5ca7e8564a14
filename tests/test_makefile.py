"""The Makefile's targets that need no environment: help, clean and clean-results."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
MEASURED = {"bench.db", "bench-v0001-20260101.db", "bench.db.spool/1-a.json", "mine.db"}


@pytest.fixture
def folder(tmp_path) -> Path:
    shutil.copy(MAKEFILE, tmp_path)
    for name in (*(f"out/{name}" for name in MEASURED), "out/report/index.html", ".ruff_cache/a", "node/__pycache__/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def make(folder: Path, target: str) -> str:
    # Without the variables of the make that runs the tests.
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", target]
    return subprocess.run(command, cwd=folder, env=ours, capture_output=True, text=True, check=True).stdout


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {"Makefile"}


def test_clean_keeps_what_was_measured(folder):
    make(folder, "clean")
    assert left(folder) == {f"out/{name}" for name in MEASURED}


def test_clean_results_says_what_it_removes(folder):
    out = make(folder, "clean-results")
    for name in ("bench.db", "bench-v0001-20260101.db", "bench.db.spool", "mine.db"):
        assert re.search(rf"\tout/{re.escape(name)}$", out, re.MULTILINE), name
    assert out.endswith("removed: out/ with all of this\n")
    assert left(folder) == {".ruff_cache/a", "node/__pycache__/a"}
    assert make(folder, "clean-results") == "nothing to remove: no out/\n"


def test_help_lists_every_target(folder):
    targets = re.findall(r"^([a-z-]+):.*## ", MAKEFILE.read_text(), re.MULTILINE)
    assert "clean-results" in targets
    assert re.findall(r"^  make ([a-z-]+) +\w", make(folder, "help"), re.MULTILINE) == targets
