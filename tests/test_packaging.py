"""The distributions: an sdist of the listed tracked files, and a wheel that works wherever it is installed."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.support.places import DATABASES

ROOT = Path(__file__).parents[1]
TARGETS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
LISTED, PACKAGES = TARGETS["sdist"]["only-include"], TARGETS["wheel"]["packages"]
STRAY = ("notes.txt", ".env", "out/bench.db", "bench/__pycache__/a.pyc", ".venv/lib/a.py", "mine/sweep.toml")
HATCHLING = [sys.executable, "-m", "hatchling", "build", "-d", "../dist"]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A git repository of the files that pyproject.toml lists for the sdist."""
    copy = tmp_path_factory.mktemp("packaging") / "checkout"
    copy.mkdir()
    for name in (*LISTED, ".gitignore"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*cache"))
        else:
            shutil.copy(ROOT / name, copy)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=copy, check=True)
    return copy


@pytest.fixture(scope="module")
def sdist(checkout) -> Path:
    """The sdist, unpacked, of a checkout with stray files."""
    for name in STRAY:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("stray")
    subprocess.run([*HATCHLING, "-t", "sdist"], cwd=checkout, check=True)
    (packed,) = checkout.parent.glob("dist/*.tar.gz")
    subprocess.run(["tar", "-xzf", packed, "-C", checkout.parent], check=True)  # 3.11.2's tarfile knows no filter
    return checkout.parent / packed.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist) -> Path:
    """The wheel that is built of the sdist, as pip does."""
    subprocess.run([*HATCHLING, "-t", "wheel"], cwd=sdist, check=True)
    (packed,) = sdist.parent.glob("dist/*.whl")
    return packed


def test_an_sdist_has_the_listed_files_and_no_stray_file(checkout, sdist):
    tracked = subprocess.run(["git", "ls-files"], cwd=checkout, capture_output=True, text=True, check=True)
    assert files(sdist) == {*tracked.stdout.splitlines(), "PKG-INFO"}


def test_everything_that_git_tracks_is_in_the_sdist(sdist):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert {name for name in tracked.stdout.splitlines() if (ROOT / name).exists()} <= files(sdist)


def test_an_sdist_with_an_untracked_file_among_the_listed_is_refused_in_one_line(checkout, sdist):
    stray = checkout / "bench" / "sweeps" / "mine.toml"
    stray.write_text("stray")
    ended = subprocess.run([*HATCHLING, "-t", "sdist"], cwd=checkout, capture_output=True, text=True, check=False)
    stray.unlink()
    assert ended.returncode == 1
    assert ended.stderr == (
        "sdist: git does not know bench/sweeps/mine.toml: add them, ignore them or move them away\n"
    )


def test_a_wheel_has_every_file_of_the_packages_and_no_other(sdist, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in files(sdist) if name.split("/")[0] in PACKAGES}
    data = ("bench/sweeps/.*toml", "reports/templates/.*j2", "reports/static/.*css", "reports/static/vendor/.*js")
    for needed in (*data, "results/opening/migrations/.*py"):
        assert any(re.fullmatch(needed, name) for name in names), needed


def test_a_wheel_is_pure(wheel):
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.exhaustive
def test_an_installed_wheel_works_without_the_source_tree(wheel, tmp_path):
    venv, folder = tmp_path / "venv", tmp_path / "folder"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    # Python reads no .pth files in a folder that a .pth file adds: the editable install stays out.
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    folder.mkdir()
    shutil.copy(DATABASES / "version_1.db", folder / "old.db")

    def nodebench(*arguments: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [venv / "bin" / "nodebench", *arguments]
        return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=True).stdout

    where = (
        "import bench, node, results, reports; print(bench.__file__, node.__file__, results.__file__, reports.__file__)"
    )
    found = subprocess.run([python, "-I", "-c", where], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert all(Path(name).is_relative_to(site) for name in found.split())
    assert "Usage: nodebench" in nodebench("--help")
    assert re.search(r"^default +\d+ cells", nodebench("list", "sweeps"), re.MULTILINE)
    assert "old.db was upgraded" in nodebench("db", "upgrade", "--db", "old.db")
    assert "report: page/index.html" in nodebench("report", "--db", "old.db", "-o", "page")
