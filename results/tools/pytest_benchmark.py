"""The import of pytest-benchmark's JSON as a run, with a cell for each benchmark and a sample for each round."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from results.engine.location import StoreError
from results.records import Cell, Environment, Planned, Run, Sample, Trial
from results.schema.tables import run, trial
from results.store import Store
from results.write.recording import begin, finish, record_missing

SWEEP = "pytest-benchmark"  # the name of imported runs, which have no sweep file
_STABLE = ("system", "machine", "processor", "python_implementation", "python_version")
_STABLE_OF_CPU = {"brand_raw": "cpu", "count": "cores"}
_MOST = 2**26  # bytes of a file, which is kept as the text of its sweep
_VOLATILE = ("node", "release")


@dataclass(frozen=True)
class Content:
    """The content of a file that can be imported."""

    run: Run
    trials: tuple[tuple[Cell, Trial], ...]


@dataclass(frozen=True)
class Imported:
    """The outcome of an import."""

    run_id: str
    trials: int  # number of new trials
    known: int  # number of trials that were in the database already


def read(path: Path) -> Content:
    """The checked content of a file."""
    text = _text(path)
    try:
        content = json.loads(text)
        return Content(_run(content, text), tuple(_trials(content)))
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        raise StoreError(
            f"{path} is not pytest-benchmark's JSON ({_cause(error)}): "
            "make one with pytest --benchmark-only --benchmark-json=FILE"
        ) from error


def take_in(store: Store, content: Content) -> Imported:
    """Write the file's run with those trials that are not there yet, in one transaction."""
    started, trials = content.run, content.trials
    with store.database.writing() as connection:
        state = connection.scalar(select(run.c.state).where(run.c.id == started.id))
        if state is None:
            begin(connection, started, [Planned(Path(cell.problem).stem, cell) for cell, _ in trials], ())
        found = select(trial.c.cell_key, trial.c.process_index).where(trial.c.run_id == started.id)
        known = {tuple(row) for row in connection.execute(found)}
        new = [one for _, one in trials if (one.cell_key, one.process_index) not in known]
        for one in new:
            record_missing(connection, started.id, one)
        if state != "complete":
            finish(connection, started.id, "complete")
    return Imported(started.id, len(new), len(trials) - len(new))


def _text(path: Path) -> str:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # opening a pipe waits for a writer
            raise StoreError(f"{path} is no file: pass one that has pytest-benchmark's JSON")
        if path.is_file() and path.stat().st_size > _MOST:
            raise StoreError(f"{path} has more than {_MOST // 2**20} MiB: import its benchmarks in several files")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is no text: pass pytest-benchmark's JSON") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}): pass another file") from error


def _cause(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]


def _run(content: Mapping[str, Any], text: str) -> Run:
    machine, commit = content["machine_info"], content["commit_info"]
    facts = {name: str(machine[name]) for name in _STABLE if machine.get(name)}
    facts |= {
        fact: str(machine["cpu"][name]) for name, fact in _STABLE_OF_CPU.items() if name in machine.get("cpu", {})
    }
    return Run(
        id=hashlib.sha256(text.encode()).hexdigest()[:32],
        sweep_name=SWEEP,
        sweep_text=text,
        environment=Environment({"harness": f"{SWEEP} {content['version']}", **facts}),
        started_at=_started_at(content),
        git_revision="" if commit.get("id") in (None, "unversioned") else str(commit["id"]),
        git_dirty=bool(commit.get("dirty")),
        volatile={name: str(machine[name]) for name in _VOLATILE if machine.get(name)},
    )


def _started_at(content: Mapping[str, Any]) -> float:
    when = datetime.fromisoformat(content["datetime"])
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _trials(content: Mapping[str, Any]) -> Iterator[tuple[Cell, Trial]]:
    """The trials of the benchmarks. Benchmarks of the same cell count as the cell's processes."""
    started_at, seen = _started_at(content), Counter[str]()
    for benchmark in content["benchmarks"]:
        cell = _cell(benchmark)
        yield cell, _trial(benchmark["stats"], cell.key, process_index=seen[cell.key], started_at=started_at)
        seen[cell.key] += 1


def _trial(stats: Mapping[str, Any], key: str, *, process_index: int, started_at: float) -> Trial:
    data = stats.get("data") or []
    samples = [Sample(index, 0, float(value), int(stats["iterations"])) for index, value in enumerate(data)]
    return Trial(
        cell_key=key,
        kind="timing",
        process_index=process_index,
        started_at=started_at,
        duration_s=float(stats["total"]) * int(stats["iterations"]),  # total is the sum of the means over iterations
        metrics={} if samples else {"call_s": float(stats["median"])},
        samples={"call_s": samples} if samples else {},
    )


def _cell(benchmark: Mapping[str, Any]) -> Cell:
    """The cell that a benchmark names in its extra_info, or a cell made from the benchmark's own name."""
    given = benchmark["extra_info"].get("cell")
    if given is not None:
        return _given_cell(given, benchmark["fullname"])
    return Cell(
        problem=benchmark["fullname"].partition("::")[0],
        backend=SWEEP,
        solver=benchmark["name"],
        horizon=0.0,
        n_outputs=0,
    )


def _given_cell(given: Mapping[str, Any], fullname: str) -> Cell:
    """The named cell, with numbers of the fields' types: JSON may have 1 for 1.0, which would give another key."""
    known = {field.name: field.type for field in fields(Cell)}
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{fullname}: its extra_info's cell has the unknown field {unknown[0]!r}")
    return Cell(**{name: _converted(known[name], value) for name, value in given.items()})


def _converted(wanted: Any, value: Any) -> Any:
    if value is None and wanted == float | None:
        return None
    return {int: int, str: str}.get(wanted, float)(value)
