"""Sides of a comparison: the measurements that one name stands for.

The name is a baseline's, or the start of a run's id, of a git revision or of an environment's fingerprint. Without a
name the whole database is a side: the newest measurements of one environment. The measurements of a side are of one
environment, as seconds of two environments are never compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from results import format as text
from results.engine.location import StoreError
from results.names import LISTED, did_you_mean
from results.read.where import Where
from results.store import Store
from results.tools import baselines
from results.tools.pytest_benchmark import SWEEP as IMPORTED

if TYPE_CHECKING:
    from pandas import DataFrame

Kind = Literal["database", "baseline", "run", "revision", "environment"]
NAMED: tuple[Kind, ...] = get_args(Kind)[1:]  # the kinds that have a name within a database
_SHOWN = 10  # digits of a git revision in a message


@dataclass(frozen=True)
class Side:
    """The measurements that a name stands for, all of one environment."""

    store: Store
    kind: Kind
    name: str  # the whole name or key; of a database its place
    where: Where  # the condition on its trials
    runs: DataFrame  # those that measured or planned something of it, in the order of recording

    @property
    def fingerprint(self) -> str:
        """The environment's fingerprint."""
        return str(self.runs["fingerprint"].iloc[-1])

    @property
    def facts(self) -> Mapping[str, str]:
        """The environment's facts."""
        facts: Mapping[str, str] = self.runs["facts"].iloc[-1]
        return facts

    @property
    def called(self) -> str:
        """A short name that stands for these measurements in their database, and for nothing else there."""
        kind: Kind = "environment" if self.kind == "database" else self.kind
        name = self.fingerprint if self.kind == "database" else self.name
        short = f"{kind}:{_short(kind, name)}"
        return short if len(candidates(self.store, short)) == 1 else f"{kind}:{name}"

    def on(self, cells: Where) -> Where:
        """The condition on the side's trials, of these cells alone."""
        mine = self.where
        cells = replace(cells, fingerprint=mine.fingerprint, run_id=mine.run_id, baseline=mine.baseline)
        return replace(cells, prefer=mine.prefer)

    def planned(self) -> DataFrame:
        """The planned cells, as in `Store.planned`: by its runs, or by the newest run of each sweep of a database."""
        runs = self.runs
        if self.kind in ("database", "environment"):
            runs = runs.drop_duplicates("sweep_sha", keep="last")
        elif self.kind == "baseline":
            runs = runs[:0]  # it was measured, whatever was planned beside
        return self.store.planned(Where(run_id=list(runs["run_id"])))


def whole(store: Store, *, environment: str = "", prefer: Collection[str] = ()) -> Side:
    """The side of a whole database: the newest measurements of the environment of the run that was recorded last.

    environment: the start of the fingerprint of another one. prefer: keys of the code whose trials are preferred.
    """
    return _side(store, "database", store.database.place, environment, prefer)


def named(store: Store, name: str, *, environment: str = "", prefer: Collection[str] = ()) -> Side:
    """The side that the name stands for in a database; a StoreError with the candidates unless there is exactly one.

    A name that several things have may be written with its kind: `run:3f2a`, `baseline:3f2a`. environment: the start
    of a fingerprint, where the measurements are of several environments.
    """
    found = candidates(store, name)
    if not found:
        raise StoreError(_nothing(store, name))
    if len(found) > 1:
        several = ", ".join(f"{kind}:{_short(kind, each)}" for kind, each in found[:LISTED])
        more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
        place = store.database.place
        raise StoreError(f"{name!r} is the name or the start of {len(found)} in {place}: write one of {several}{more}")
    ((kind, found_name),) = found
    return _side(store, kind, found_name, environment, prefer)


def candidates(store: Store, name: str) -> list[tuple[Kind, str]]:
    """The kinds and whole names that a name may stand for in a database."""
    kind, colon, rest = name.partition(":")
    kinds = [each for each in NAMED if colon and each == kind]
    start = rest if kinds else name
    known = _known(store)
    return [(each, one) for each in kinds or NAMED for one in _begun(each, start, known[each])] if start else []


def _known(store: Store) -> Mapping[Kind, list[str]]:
    """The names and keys in the database by kind, the oldest first."""
    runs = store.runs()
    columns: dict[Kind, str] = {"run": "run_id", "revision": "git_revision", "environment": "fingerprint"}
    keys = {kind: [each for each in dict.fromkeys(runs[column]) if each] for kind, column in columns.items()}
    return {"baseline": list(baselines.listed(store)["name"]), **keys}


def _begun(kind: Kind, start: str, known: Collection[str]) -> list[str]:
    if start in known:
        return [start]
    return [] if kind == "baseline" else [each for each in known if each.startswith(start)]


def _short(kind: Kind, name: str) -> str:
    return name if kind == "baseline" else name[:_SHOWN]


def _nothing(store: Store, name: str) -> str:
    known = _known(store)
    every = [_short(kind, each) for kind in NAMED for each in known[kind]]
    few = (f"{kind}s {', '.join(_short(kind, each) for each in known[kind][-3:])}" for kind in NAMED if known[kind])
    there = "; ".join(few) or "nothing was measured there"
    return (
        f"{name!r} is no database, and no baseline, run, git revision or environment in {store.database.place}."
        f"{did_you_mean(name, every)} There are, the newest last: {there}"
    )


def _side(store: Store, kind: Kind, name: str, environment: str, prefer: Collection[str]) -> Side:
    runs = store.runs()
    where = Where(prefer=list(prefer) or None)
    if kind == "database":
        runs = runs[runs["sweep_name"] != IMPORTED]  # timings of other harnesses decide no environment
    elif kind == "environment":
        runs = runs[runs["fingerprint"] == name]
    elif kind == "run":
        where, runs = Where(run_id=name), runs[runs["run_id"] == name]
    elif kind == "revision":
        runs = runs[runs["git_revision"] == name]
        where = Where(run_id=list(runs["run_id"]))
    else:
        where = Where(baseline=name)
        runs = runs[runs["run_id"].isin(store.trials(where)["run_id"])]
    if runs.empty:
        raise StoreError(f"{_called(kind, name)} has no measurement: run `nodebench run` first or name another one")
    fingerprint = _environment(kind, name, runs, environment)
    return Side(store, kind, name, replace(where, fingerprint=fingerprint), runs[runs["fingerprint"] == fingerprint])


def _environment(kind: Kind, name: str, runs: DataFrame, start: str) -> str:
    """The fingerprint of the environment whose measurements are meant; a StoreError if that is not known."""
    known: list[str] = list(dict.fromkeys(runs["fingerprint"]))
    found = [each for each in known if each.startswith(start)]
    if start and len(found) != 1:
        raise StoreError(
            f"{len(found) or 'no'} environments of {_called(kind, name)} begin with {start!r}: "
            f"pass --environment with one of {text.listed(known[-LISTED:])}"
        )
    if kind == "database" and not start:
        own = runs[~runs["merged"]]  # merged runs do not decide
        return str((runs if own.empty else own)["fingerprint"].iloc[-1])
    if len(found) > 1:
        raise StoreError(
            f"{_called(kind, name)} was measured in {len(found)} environments, whose times are not compared: "
            f"pass --environment with one of {text.listed(known[-LISTED:])}"
        )
    return found[0]


def _called(kind: Kind, name: str) -> str:
    return name if kind == "database" else f"{kind} {_short(kind, name)}"
