"""A benchmark file written by the installed pytest-benchmark."""

import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = """
import pytest

@pytest.mark.parametrize("n", [10, 20])
def test_sum(benchmark, n):
    benchmark.pedantic(sum, args=(range(n),), rounds=3, iterations=2)

def test_solve(benchmark):
    benchmark.extra_info["cell"] = {
        "problem": "cosine", "backend": "node", "solver": "euler",
        "horizon": 1, "n_outputs": 2, "dt": 0.1, "rtol": None,
    }
    benchmark.pedantic(sum, args=(range(10),), rounds=4)
"""


def made(folder: Path, *options: str) -> Path:
    """The path of the file `*made.json` that the installed pytest-benchmark writes below the folder."""
    (folder / "test_tiny.py").write_text(BENCHMARKS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--benchmark-storage={folder}",
        *options,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    (file,) = folder.rglob("*made.json")
    return file
