"""What a page is to show, and the runs that have it."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from pandas import DataFrame

from results import format as text
from results.names import nearest
from results.read.where import Where
from results.records import Cell, Source
from results.store import Store
from results.tools import baselines


class ReportError(Exception):
    """One line for the user: why there is no report, and what to do. Every error of this package is one."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The environment, runs, sweeps, baseline and cells that a page is to show. An empty field: all, or the newest."""

    environment: str = ""  # the start of its fingerprint
    runs: Collection[str] = ()  # ids, or their starts: only the trials of these runs
    sweeps: Collection[str] = ()  # names, or the start of the hash of name and text
    baseline: str = ""  # name
    only: Where = field(default_factory=Where)  # conditions on the cells
    here: Callable[[Collection[Cell]], Iterable[Source]] = lambda _cells: ()  # the present code of these cells
    code: Callable[[Cell], str] = lambda _cell: ""  # lines of Python that repeat a cell; empty if none are known
    again: Callable[[str, str], str] = lambda _sweep, _key: ""  # the command that measures a sweep's cell (key) again


BY_DEFAULT = Wanted()


def chosen_runs(store: Store, every: DataFrame, wanted: Wanted) -> DataFrame:
    """The runs whose plans are shown: the runs asked for, or the newest run of each sweep in one environment."""
    if wanted.runs:
        ids = [only_one("run", start, every["run_id"]) for start in wanted.runs]
        chosen = every[every["run_id"].isin(ids)]
    elif wanted.baseline:
        chosen = every[every["run_id"].isin(_of_baseline(store, wanted.baseline)["run_id"])]
    else:
        chosen = every
    if wanted.environment:
        fingerprint = only_one("environment", wanted.environment, chosen["fingerprint"])
        chosen = chosen[chosen["fingerprint"] == fingerprint]
    elif (wanted.runs or wanted.baseline) and chosen["fingerprint"].nunique() > 1:
        named = text.listed(list(dict.fromkeys(chosen["fingerprint"])))
        raise ReportError(f"these runs are of several environments, which no page compares: pass --environment {named}")
    if wanted.sweeps:
        chosen = chosen[_among_sweeps(chosen, wanted.sweeps)]
    if not (wanted.runs or wanted.baseline):
        own = chosen[~chosen["merged"]]  # merged runs do not decide
        newest = (chosen if own.empty else own)["fingerprint"].iloc[-1]
        chosen = chosen[chosen["fingerprint"] == newest]
        chosen = chosen.drop_duplicates("sweep_sha", keep="last")
    return chosen


def only_one(what: str, start: str, known: Collection[str]) -> str:
    """The only value of the column that begins with `start`; a ReportError unless there is exactly one."""
    found = list(dict.fromkeys(each for each in known if each.startswith(start)))
    if len(found) != 1:
        some = text.listed(list(dict.fromkeys(known))[-5:])
        count = "no" if not found else f"{len(found)}"
        raise ReportError(f"{count} {what} begins with {start!r}: pass one of {some}")
    return found[0]


def _among_sweeps(runs: DataFrame, wanted: Collection[str]) -> list[bool]:
    """Whether each run is of one of the sweeps, which are given by name or by the start of the hash."""
    known = list(zip(runs["sweep_name"], runs["sweep_sha"], strict=True))
    for each in wanted:
        if not any(_is_sweep(each, name, sha) for name, sha in known):
            raise ReportError(f"no run of a sweep {each!r}{nearest(each, [name for name, _ in known])}")
    return [any(_is_sweep(each, name, sha) for each in wanted) for name, sha in known]


def _is_sweep(wanted: str, name: str, sha: str) -> bool:
    return wanted == name or (len(wanted) >= 4 and sha.startswith(wanted))


def _of_baseline(store: Store, name: str) -> DataFrame:
    trials = baselines.trials(store, name)
    if trials.empty:
        raise ReportError(f"no baseline {name!r}{nearest(name, list(baselines.listed(store)['name']))}")
    return trials
