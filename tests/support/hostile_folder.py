"""A working folder full of user files that are named like modules; each leaves a file when it is imported."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

OURS = {"bench", "node", "results", "reports"}
PACKAGES = {"bench", "node", "torch", "multiprocessing"}  # for these there is a folder (a package) too
CUSTOM = {"sitecustomize", "usercustomize"}


def fill(folder: Path, *, leave_out: Collection[str] = ()) -> None:
    """Write a module under each name of the standard library, of installed and of our packages, less `leave_out`."""
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
    """The names of the folder's modules that have been imported by any process."""
    return sorted(path.name.removeprefix("imported-") for path in folder.glob("imported-*"))


def loaded_by(*command: str, folder: Path) -> set[str]:
    """The modules that Python loads before our code, when it is started with this command in this folder."""
    (folder / "nothing_else.py").write_text("import sys\nprint(*sys.modules)\n")
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())
