"""The import of users' files: from their text, each with its own helpers, and without an effect on what is measured."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import extensions, user_import
from bench.code_files import own_files, own_module_files
from bench.extensions import load
from bench.failure import UsageError
from bench.own.check import findings
from bench.problems import PROBLEMS
from bench.run.measured_so_far import _DRAWN
from results.read.where import Where
from results.records import Cell
from results.store import Store
from tests.support.small_runs import CELL, run, sweep_of

TEMPLATES = Path(extensions.__file__).parent / "own" / "templates"
PROBLEM = """
import torch
from torch import nn
from bench.problems import Instance, problem
{above}
@problem(horizon=1.0, name="{name}")
def made() -> Instance:
    return Instance(field=nn.Linear(1, 1), y0=torch.full((1, 1), float(K)))
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch, tmp_path):
    """Nothing of a test's files is left for the next one."""
    entries = dict(PROBLEMS._entries)
    for place, names in ((extensions, ("_loaded", "_files")), (user_import, ("_texts", "_roots"))):
        for name in names:
            monkeypatch.setattr(place, name, {})
    yield
    PROBLEMS._entries = entries
    own = [name for name, module in sys.modules.items() if str(tmp_path) in str(getattr(module, "__file__", ""))]
    for name in own:
        del sys.modules[name]


def written(path: Path, name: str, above: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PROBLEM.format(name=name, above=above))
    return str(path)


def start_of(name: str) -> float:
    return PROBLEMS[name].instance(Cell(problem=name, backend="node", solver="rk4", horizon=1.0, n_outputs=2)).y0.item()


def test_the_text_is_executed_and_not_older_bytecode_of_the_same_time_and_size(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    own, helper = tmp_path / "own_text.py", tmp_path / "helper_of_text.py"
    for k in (1, 7):
        helper.write_text(f"K = {k}.0\n")
        os.utime(helper, (1e9, 1e9))
        load([written(own, "of_text", "from helper_of_text import K")])
        assert start_of("of_text") == k


def test_two_helpers_of_one_name_in_two_folders_are_refused_even_if_imported_late(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "helper_twice.py").write_text("K = 1.0\n")
    late = "K = 2.0\ndef later():\n    import helper_twice\n"
    load([written(tmp_path / "one" / "mine.py", "of_one", late)])
    with pytest.raises(UsageError, match=r"it imports helper_twice from beside it, and .*one.* has that name too"):
        load([written(tmp_path / "two" / "mine.py", "of_two", late)])


def test_a_helper_named_like_a_module_of_python_is_refused(tmp_path):
    (tmp_path / "profile.py").write_text("K = 1.0\n")
    with pytest.raises(UsageError, match="it imports profile, which is Python's own and a file beside it"):
        load([written(tmp_path / "mine.py", "of_profile", "from profile import K")])


def test_a_file_beside_that_is_named_like_our_own_package_is_not_meant(tmp_path):
    (tmp_path / "results.py").write_text("raise RuntimeError\n")
    own = written(tmp_path / "mine.py", "of_results", "from results.records import Cell\nK = 3.0")
    assert own_files(Path(own)) == [Path(own)]
    load([own])
    assert start_of("of_results") == 3.0


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("torch.set_default_dtype(torch.float64)", "default dtype"),
        ("torch.set_num_threads(torch.get_num_threads() + 1)", "number of threads"),
        ("torch.set_grad_enabled(False)", "computes gradients"),
        ("import os; os.chdir('/')", "working folder"),
    ],
)
def test_a_file_that_changes_a_setting_of_the_process_is_refused_and_the_setting_put_back(tmp_path, change, name):
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), os.getcwd()
    with pytest.raises(UsageError, match=f"importing it changes .*{name}"):
        load([written(tmp_path / "mine.py", "of_settings", f"{change}\nK = 1.0")])
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), os.getcwd()) == before


def test_the_files_of_a_users_own_package_count_wherever_it_is_found(tmp_path, monkeypatch):
    package = tmp_path / "package_of_mine"
    package.mkdir()
    for name, text in (("__init__", ""), ("models", "K = 4.0\n"), ("bench_it", "from .models import K\n")):
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = written(tmp_path / "scripts" / "mine.py", "of_package", "from package_of_mine.models import K\nimport torch")
    assert own_files(Path(own)) == sorted([*package.glob("*.py"), Path(own)])
    assert own_module_files("package_of_mine.bench_it") == sorted(package.glob("*.py"))
    load([own])
    assert start_of("of_package") == 4.0


OPTION = "[__import__('bench.options').options.Option('solver', 'int', 1)]"


@pytest.mark.parametrize(
    ("declared", "seen"),
    [
        ('library = "no-such-lib"', "library = 'no-such-lib', and there is no such module here"),
        ('solvers = "rk4"', "solvers = 'rk4' is a text: give a tuple of names, "),
        (f"options = lambda self, cell: {OPTION}", "its option 'solver' has the name of an axis"),
        ("options = lambda self, cell: 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_backend_with_an_impossible_declaration_is_refused(tmp_path, declared, seen):
    text = (TEMPLATES / "backend.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("    def unsupported", f"    {declared}\n\n    def unsupported"))
    with pytest.raises(UsageError, match=seen):
        load([str(tmp_path / "mine.py")])


@pytest.mark.parametrize(
    ("argument", "seen"),
    [
        ("horizon=-1.0", "its horizon is -1.0 and must be positive and finite"),
        ("horizon=1.0, n_outputs=1", "n_outputs is 1: the start and the end are two"),
        ('horizon=1.0, optimiser="adamm"', "unknown optimiser 'adamm'. Did you mean 'Adam'"),
        ('horizon=1.0, name="a b"', "the problem 'a b': a name is of letters, digits"),
    ],
)
def test_a_problem_that_cannot_be_is_refused_as_it_is_registered(tmp_path, argument, seen):
    own = Path(written(tmp_path / "mine.py", "of_refusal", "K = 1.0"))
    own.write_text(own.read_text().replace('horizon=1.0, name="of_refusal"', argument))
    with pytest.raises(UsageError, match=seen):
        load([str(own)])


def test_a_problem_that_is_drawn_at_import_does_not_pass_the_check(tmp_path):
    text = (TEMPLATES / "problem.py").read_text().replace("0.1 * torch.randn", "SCALE * torch.randn")
    (tmp_path / "mine.py").write_text(f"{text}\nimport random\nSCALE = random.SystemRandom().random()\n")
    load([str(tmp_path / "mine.py")])
    (failed,) = [finding for finding in findings("problem", "my_problem") if finding.failed]
    assert "another process makes another instance" in str(failed)


def test_a_run_fails_the_cells_of_a_problem_that_is_another_in_each_process(tmp_path):
    text = (TEMPLATES / "problem.py").read_text().replace("0.1 * torch.randn", "SystemRandom().random() * torch.randn")
    (tmp_path / "mine.py").write_text(f"from random import SystemRandom\n{text}")
    load([own := str(tmp_path / "mine.py")])
    cells = [
        replace(CELL, problem="my_problem", batch_size=3, solver=solver) for solver in ("bosh3", "dopri5", "tsit5")
    ]
    with Store.open(str(tmp_path / "bench.db"), create=True) as store:
        run(store, replace(sweep_of(*cells), use=(own,)))
        accuracy = store.trials(Where(kind="accuracy"))
    assert sorted(accuracy.status) == ["error", "error", "ok"]
    assert {*accuracy.reason[accuracy.status == "error"]} == {_DRAWN.format("my_problem")}
