"""Fixtures of several test files: a store, and a database that looks like a measured one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from results.store import Store
from tests.support import synthetic, three_runs
from tests.support.choosing import everything, keep_few
from tests.support.servers import server_database

if TYPE_CHECKING:
    from reports.views.report import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option `--all`: run every test with all of its cases."""
    parser.addoption("--all", action="store_true", help="Run every test: half an hour on two cores.")


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Iterator[None]:
    """Leave a test few cases, unless all are requested."""
    yield
    if not everything(metafunc.config):
        separable = metafunc.definition.get_closest_marker("separable") is not None
        keep_few(metafunc, lambda case: _is_possible(case, separable))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out cases that are not possible and, unless all tests are requested, those marked `exhaustive`."""
    kept = [
        item
        for item in items
        if _is_possible(getattr(item, "callspec", None), item.get_closest_marker("separable") is not None)
        and (everything(config) or item.get_closest_marker("exhaustive") is None)
    ]
    config.hook.pytest_deselected(items=list(set(items) - set(kept)))
    items[:] = kept


def _is_possible(case: object, separable: bool) -> bool:
    """Whether the gradient mode of the case, if it has one, supports its solver (dopri5 where none is named).

    Tests with a solver of separable fields are left out too, except those that are marked `separable`.
    """
    return _supported(case) and (separable or not _of_separable_fields(case))


def _supported(case: object) -> bool:
    params = getattr(case, "params", {})
    if not isinstance(params.get("gradient"), str):
        return True
    from node import ADJOINTS, SOLVERS
    from node.solvers import Solver

    mode = ADJOINTS.get(params["gradient"])
    solver = params.get("solver", params.get("name"))
    solver = solver if isinstance(solver, Solver) else SOLVERS.get(str(solver), SOLVERS["dopri5"])
    return mode is None or not mode.unsupported(solver)


def _of_separable_fields(case: object) -> bool:
    """Whether a solver of separable fields, or its name, is among the parameters."""
    if "node.solvers" not in sys.modules:
        return False
    from node import SOLVERS
    from node.solvers import Solver

    solvers = (SOLVERS.get(x) if isinstance(x, str) else x for x in getattr(case, "params", {}).values())
    return any(isinstance(solver, Solver) and solver.separable for solver in solvers)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Run torch, if it is loaded, on one thread: small products gain nothing from more threads."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: (exit code, stdout, stderr)."""
    from bench.interrupt import SIGNALS
    from bench.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["nodebench", *arguments])
        monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
        answered = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            for number, handler in answered.items():
                signal.signal(number, handler)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def server_url() -> Iterator[str]:
    """A new database on a PostgreSQL server."""
    with server_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path or URL of a new database, on each engine."""
    if request.param == "sqlite":
        return str(tmp_path / "bench.db")
    return str(request.getfixturevalue("server_url"))


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def three_runs_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Three runs of a few cells, on each engine. Read only: it serves the whole session."""
    path = tmp_path_factory.mktemp("three_runs") / "bench.db"
    with nullcontext(str(path)) if request.param == "sqlite" else server_database() as url:
        with Store.open(url, create=True) as opened:
            three_runs.fill(opened)
        yield url


@pytest.fixture
def three(three_runs_url: str) -> Iterator[Store]:
    with Store.open(three_runs_url) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "bench.db"), create=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def measured_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four studies of `synthetic`, measured in full. Read only: it serves the whole session."""
    path = tmp_path_factory.mktemp("measured") / "bench.db"
    with Store.open(str(path), create=True) as opened:
        synthetic.fill(opened)
    return path


@pytest.fixture
def measured(measured_path: Path) -> Iterator[Store]:
    with Store.open(str(measured_path)) as opened:
        yield opened


@pytest.fixture(scope="session")
def content(measured_path: Path) -> Report:
    """The report on the measured database, made once per session."""
    from reports.views.report import report

    with Store.open(str(measured_path)) as opened:
        return report(opened)


@pytest.fixture(scope="session")
def html(content: Report) -> str:
    """The HTML page of the report on the measured database."""
    from reports.page import render

    return render(content)
