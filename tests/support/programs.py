"""The program in a subprocess: by the installed script, and by `python -m bench`."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.places import ROOT

MODULE = [sys.executable, "-m", "bench"]

# A sweep of one cell, each of whose trials takes a second.
SWEEP = """
[measure]
processes = 1
max_processes = 1
rounds = 3
timeout_s = 60.0

[[grid]]
problem = "spiral"
backend = "node"
solver = "dopri5"
gradient = "backprop"
rtol = 1e-3
atol = 1e-5
horizon = 0.5
n_outputs = 2
"""


def script(folder: Path) -> list[str]:
    """The command that `pip install` would make, written into a new folder."""
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["nodebench"]
    module, name = entry.split(":")
    folder.mkdir()
    (folder / "nodebench").write_text(
        f"import re, sys\nfrom {module} import {name}\nif __name__ == '__main__':\n    sys.exit({name}())\n"
    )
    return [sys.executable, str(folder / "nodebench")]


def call(
    command: list[str], *arguments: str, cwd: Path, before: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end.

    `before`: a program that starts the command; `variables`: additional environment variables.
    """
    found = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    environment = {**os.environ, "PYTHONPATH": found, **variables}
    whole = [*before, *command, *arguments]
    return subprocess.run(whole, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
