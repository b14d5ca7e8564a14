"""A cell on one screen: its axes, its numbers, how its trials ended, and how to measure it again."""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import indent
from typing import TYPE_CHECKING

from bench.answers.columns import columns, shortened, wrapped
from bench.answers.reading import code_that_counts
from bench.source import source_of
from bench.sweep.shipped import shipped
from bench.verbs.parts.place import DEFAULT_DATABASE
from results.engine.location import public
from results.escaping import one_line, visible
from results.format import date, number, plural
from results.read.where import Where
from results.records import CURVES, TRIAL_KINDS, Cell, Source
from results.store import Store
from results.tools.annotations import Note, notes_of_cell
from results.tools.pytest_benchmark import SWEEP as IMPORTED

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports import CellView

_SHORT = 8  # digits of a key, a run or an environment that are shown
_LINES = 8  # of what a failed trial printed
_LONG = 400  # characters of a reason or a note


def print_cell(
    store: Store,
    cell: Cell,
    conditions: Sequence[str],
    url: str,
    environment: str,
    use: Sequence[str],
    *,
    among: Where,
    hint: bool,
) -> str:
    """Print what is known of the cell on one screen; the environment whose numbers these are.

    conditions: those that choose the cell, by its axes. among: the condition on the trials that count. hint: with the
    command that prints the raw samples.
    """
    from reports import cell_view

    view = cell_view(store, cell, environment=environment, prefer=code_that_counts(store), among=among)
    of_cell = _of_cell(store, cell, view.fingerprint, among)
    trials = store.trials(of_cell)
    print(f"{cell.key}  {view.status}")
    print(wrapped(one_line(cell.label)))
    print(wrapped(" ".join(shlex.quote(one_line(each)) for each in conditions)))
    print(wrapped(_where(store, view, trials)))
    _print_numbers(store, view)
    _print_trials(cell, trials)
    if notes := notes_of_cell(store, cell.key):
        print(f"\n{columns(map(_note_row, notes), ('note', 'by', 'on', ''))}")
    if curves := list(_curve_rows(store.curves(of_cell))):
        print(f"\n{columns(curves, ('curve', 'points', 'first', 'last', 'what it is'), cut=True)}")
    print()
    print(*_commands(store, cell, url, use, hint=hint), sep="\n")  # not wrapped: they are copied
    return view.fingerprint


def _of_cell(store: Store, cell: Cell, fingerprint: str, among: Where) -> Where:
    return replace(among, cell_key=cell.key, fingerprint=fingerprint, prefer=code_that_counts(store))


def _where(store: Store, view: "CellView", trials: "DataFrame") -> str:
    """The environment that has measured the cell, the run that did it last, and the other environments."""
    if not view.fingerprint:
        return "not measured yet"
    runs = store.runs()
    last = runs[runs["run_id"].isin(trials["run_id"])].iloc[-1]
    machine = one_line(str(last["facts"].get("cpu", "")))
    said = (
        f"environment {view.fingerprint[:_SHORT]}{f' ({machine})' if machine else ''}, "
        f"run {last['run_id'][:_SHORT]} of {one_line(last['sweep_name'])}, {date(last['started_at'])}"
    )
    if view.others:
        others = ", ".join(each[:_SHORT] for each in view.others)
        said += f"; other numbers in {plural(len(view.others), 'other environment')} (--environment): {others}"
    return said


def _print_numbers(store: Store, view: "CellView") -> None:
    rows = [(each.name, each.value, each.interval, each.meaning) for each in view.numbers]
    if rows:
        print(f"\n{columns(rows, ('metric', 'median', '95 %', 'what it is'), cut=True)}")
    for remark in view.remarks:
        print(wrapped(remark))
    if view.ratios and (control := store.cell(view.control)):
        ratios = ", ".join(f"{name} {ratio}" for name, ratio in view.ratios)
        print(wrapped(f"over the control, {view.control[:_SHORT]} ({one_line(control.label)}): {ratios}"))


def _print_trials(cell: Cell, trials: "DataFrame") -> None:
    """Print how the trials of each kind ended, and of those that failed the reason and the end of their output."""
    codes = _codes(cell, trials)
    ends = Counter(zip(trials["kind"], trials["status"], codes, strict=True))
    alike = len(set(codes)) == 1
    said = ", ".join(
        f"{count} {kind} {status}{'' if alike else f' (code {code})'}"
        for (kind, status, code), count in sorted(ends.items(), key=lambda end: TRIAL_KINDS.index(end[0][0]))
    )
    if said:
        said += f"; code {codes[0]}" if alike else ""
        print(f"\n{wrapped(f'trials: {said}')}")
    failed = trials[trials["status"] != "ok"].drop_duplicates(["kind", "status", "reason"])
    for trial in failed.itertuples():
        reason = one_line(trial.reason) or "no reason was given"
        print(wrapped(f"{trial.kind} {trial.status}: {shortened(reason, _LONG)}"))
    printed = [trial for trial in failed.itertuples() if trial.log_tail.strip()]
    if printed:
        lines = _log(printed[0].log_tail).splitlines()
        above = f" ({len(lines) - _LINES} lines above: --samples)" if len(lines) > _LINES else ""
        print(f"the end of what {printed[0].kind} {printed[0].process_index} printed{above}:")
        print(indent("\n".join(lines[-_LINES:]), "    "))


_AS_IT_IS = "as it is"


def _codes(cell: Cell, trials: "DataFrame") -> list[str]:
    """For each trial, in words: whether it measured the code as it is here now."""
    here = [source_of(cell, kind) for kind in trials["kind"]]
    return [_code(source, now) for source, now in zip(trials["source"].fillna(""), here, strict=True)]


def _code(measured: str, here: Source) -> str:
    if measured == here.key:
        return _AS_IT_IS
    if any(fact.endswith(" none") for fact in here.facts.values()):
        return "not here"  # a file that was not named with --use, or a library that is not installed
    return "changed since" if measured else "not known"


def _note_row(note: Note) -> tuple[str, ...]:
    about = f"run {note.run_id[:_SHORT]}" if note.run_id else "cell"
    return date(note.created_at), one_line(note.author), about, shortened(one_line(note.text), _LONG)


def _curve_rows(curves: "DataFrame") -> Iterator[tuple[str, ...]]:
    """A row for each curve: its number of points, the first and the last value of its first component."""
    for row in curves.drop_duplicates("name").itertuples():
        ends = (number(float(row.y[at, 0])) for at in (0, -1)) if row.y.size else ("", "")
        yield (one_line(row.name), str(len(row.x)), *ends, CURVES.get(row.name, ""))


def _commands(store: Store, cell: Cell, url: str, use: Sequence[str], *, hint: bool) -> Iterator[str]:
    """The commands that go on from here, and what each is for."""
    options = "" if url == DEFAULT_DATABASE else f" --db {shlex.quote(public(url))}"
    options += "".join(f" --use {shlex.quote(one)}" for one in use)
    key = cell.key[:_SHORT]
    planned = store.planned(Where(cell_key=cell.key))
    runs = store.runs()
    names = runs[runs["run_id"].isin(planned["run_id"]) & (runs["sweep_name"] != IMPORTED)]["sweep_name"]
    if len(names):
        yield f"measure it again: {again(names.iloc[-1], key)}{options}"
    if hint:
        yield f"its raw samples:  nodebench show {key} --samples{options}"


def again(sweep: str, key: str) -> str:
    """The command that measures a cell of a sweep again; a sweep of the user's is in a file of its name."""
    named = shlex.quote(one_line(sweep if sweep in shipped() else f"{sweep}.toml"))
    return f"nodebench run {named} --only key={key} --again all"


def print_samples(store: Store, cell: Cell, fingerprint: str, among: Where) -> None:
    """Print the cell's trials, metrics and samples, a row each, and what its processes printed."""
    of_cell = _of_cell(store, cell, fingerprint, among)
    trials = store.trials(of_cell)
    for title, frame in (
        ("trials", trials.drop(columns=["log_tail", "source", "series"]).assign(code=_codes(cell, trials))),
        ("metrics", store.metrics(of_cell)),
        ("samples", store.samples(of_cell)),
    ):
        shown = frame.drop(columns=[name for name in _REPEATED if name in frame])
        print(f"\n{title}")
        print(columns(shown.map(lambda value: one_line(str(value))).to_numpy().tolist(), list(shown)))
    for trial in trials[trials["log_tail"].str.strip() != ""].itertuples():
        print(f"\nprinted by {trial.kind} {trial.process_index} of run {trial.run_id[:_SHORT]}")
        print(indent(_log(trial.log_tail), "    "))


_REPEATED = ("cell_key", "run_id", "fingerprint", "started_at")  # the same in each row, or for joins


def _log(printed: str) -> str:
    """What a process printed, in lines without what a terminal would obey."""
    return visible(printed.rstrip().replace("\r\n", "\n").replace("\r", "\n"))
