"""A working folder full of a user's files that are named like modules; each leaves a mark when it is imported."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

OURS = {"bench", "node", "results", "reports"}
PACKAGES = {"bench", "node", "torch", "multiprocessing"}  # of which there is a folder, too
CUSTOM = {"sitecustomize", "usercustomize"}


def fill(folder: Path, *, leave_out: Collection[str] = ()) -> None:
    """Write a module for each standard one, each that is installed and each of ours, but for some."""
    installed = {name.partition(".")[0] for name in importlib.metadata.packages_distributions()}
    names = {*sys.stdlib_module_names, *installed, *OURS, *CUSTOM} - {"__main__", *leave_out}
    for name in filter(str.isidentifier, names):
        mark = str(folder / f"imported-{name}")
        code = (
            f"import os\nos.close(os.open({mark!r}, os.O_CREAT | os.O_WRONLY))\nraise RuntimeError('a user\\'s file')\n"
        )
        (folder / f"{name}.py").write_text(code)
        if name in PACKAGES:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(code)


def imported(folder: Path) -> list[str]:
    """The modules of it that anybody has imported."""
    return sorted(path.name.removeprefix("imported-") for path in folder.glob("imported-*"))


def loaded_by(*command: str, folder: Path) -> set[str]:
    """What a Python has loaded before any code of ours runs, as it is started by such a command in such a folder."""
    (folder / "nothing_else.py").write_text("import sys\nprint(*sys.modules)\n")
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())
