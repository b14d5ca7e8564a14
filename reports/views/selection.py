"""The selection of a report: the environment, runs and sweeps that it shows, and notices of what it leaves out.

By default: every sweep in the environment of the run that was recorded last. A sweep is its name and its text: an
edited sweep is another one, and of its older texts only measured cells are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pandas import DataFrame

from reports.measured import MeasuredCell
from reports.reading import Frames, cell_of, measured_cells
from reports.views.wanted import BY_DEFAULT, ReportError, Wanted, chosen_runs
from results import format as text
from results.read.code import Code
from results.read.where import Where
from results.records import NO_GOAL, Goal
from results.store import Store
from results.tools import baselines
from results.tools.pytest_benchmark import SWEEP as IMPORTED


@dataclass(frozen=True)
class Selection:
    """The cells that are shown, and what the database has besides."""

    runs: DataFrame  # the runs whose plans are shown, in the order of recording
    studies: dict[str, list[MeasuredCell]]  # in the order of the sweeps
    cells: dict[str, MeasuredCell]  # by key; a cell may be in several studies
    every_run: DataFrame  # of the database, in the order of recording
    shown_trials: Mapping[str, int]  # by run: number of its trials on the page
    notices: tuple[str, ...]  # what a reader must know of the selection
    sweeps: Mapping[str, str]  # by cell key: the name of the newest run's sweep that plans it


def select(store: Store, wanted: Wanted = BY_DEFAULT) -> Selection:
    """The runs and cells that a report shows."""
    every = store.runs()
    every = every[every["sweep_name"] != IMPORTED]  # timings of other harnesses are no study of ours
    if every.empty:
        raise ReportError("the database holds no run: run `nodebench run` first or pass --db with another path")
    chosen = chosen_runs(store, every, wanted)
    fingerprint = str(chosen["fingerprint"].iloc[-1])
    planned = store.planned(replace(wanted.only, run_id=list(chosen["run_id"])))
    if planned.empty:
        raise ReportError("no cell of these runs meets --only: leave it out, or pass other values")
    notices = _other_environments(every, fingerprint, wanted)
    if wanted.runs or wanted.baseline:
        frames = _of_runs_or_baseline(store, planned, chosen, wanted)
    else:
        frames, said = _current(store, planned, fingerprint, wanted)
        notices += said
    cells = measured_cells(planned, frames)
    studies = _studies(planned, cells, chosen)
    shown = {each.key: each for group in studies.values() for each in group}
    counts = frames.trials["run_id"].value_counts().to_dict()
    names = dict(zip(chosen["run_id"], chosen["sweep_name"], strict=True))
    sweeps = {key: names[run_id] for key, run_id in zip(planned["cell_key"], planned["run_id"], strict=True)}
    return Selection(chosen, studies, shown, every, counts, tuple(notices), sweeps)


def _of_runs_or_baseline(store: Store, planned: DataFrame, chosen: DataFrame, wanted: Wanted) -> Frames:
    """The measurements of the runs or the baseline that are asked for, of any code."""
    keys = list(dict.fromkeys(planned["cell_key"]))
    if wanted.baseline:
        kept = (baselines.trials, baselines.metrics, baselines.samples, baselines.curves)
        every = (frame(store, wanted.baseline) for frame in kept)
        return Frames(*(frame[frame["cell_key"].isin(keys)] for frame in every))
    return Frames.of(store, Where(run_id=list(chosen["run_id"]), cell_key=keys))


def _current(store: Store, planned: DataFrame, fingerprint: str, wanted: Wanted) -> tuple[Frames, list[str]]:
    """The measurements of the code that counts in the environment, and notes on the others."""
    alike = planned.drop_duplicates(["backend", "problem", "solver", "gradient", "iterations", "evaluate"]).to_dict(
        "records"
    )
    here = (source.facts for source in wanted.here([cell_of(row) for row in alike]))
    code = Code.of(store.sources(fingerprint), here)
    backends = dict(zip(planned["cell_key"], planned["backend"], strict=True))
    all_code = Where(fingerprint=fingerprint, cell_key=list(backends))
    frames = Frames.of(store, replace(all_code, source=[*code.sources, ""]))
    frames = frames.without(code.unknown(frames.trials, backends))
    said = []
    if old := _measured(store.trials(all_code)) - _measured(frames.trials):
        count = len({key for key, _ in old})
        was, its = ("was", "its") if count == 1 else ("were", "their")
        said.append(
            f"{text.plural(count, 'cell')} {was} measured of code that has changed since: {its} numbers are history, "
            "and not shown. `nodebench run` measures them again; `--run` shows what a run has measured."
        )
    if count := len({key for key, _ in _measured(frames.trials[frames.trials["source"].isna()])}):
        was, it = ("was", "it") if count == 1 else ("were", "them")
        said.append(
            f"{text.plural(count, 'cell')} {was} measured by an older nodebench, which kept no hash of the code: "
            f"whether that has changed since is not known. `nodebench run` measures {it} again."
        )
    return frames, said + code.notices()


def _measured(trials: DataFrame) -> set[tuple[str, str]]:
    """The pairs of a cell (key) and a kind that were measured."""
    ended = trials[(trials["status"] != "interrupted") & (trials["kind"] != "twin")]
    return set(zip(ended["cell_key"], ended["kind"], strict=True))


def _other_environments(every: DataFrame, fingerprint: str, wanted: Wanted) -> list[str]:
    """A note on the environments that are not shown."""
    others = [each for each in dict.fromkeys(every["fingerprint"]) if each != fingerprint]
    if not others or wanted.environment or wanted.runs or wanted.baseline:
        return []
    named = text.listed(others[-5:]) if len(others) <= 5 else f"{text.listed(others[-5:])} and {len(others) - 5} more"
    return [
        f"Not shown: what was measured in {text.plural(len(others), 'other environment')} ({named}; `--environment`)."
    ]


def _studies(planned: DataFrame, cells: Mapping[str, MeasuredCell], chosen: DataFrame) -> dict[str, list[MeasuredCell]]:
    """The cells by study, with their goals. Of a sweep's older texts only measured cells are shown."""
    goals = _goals(planned, chosen)
    asked_for = set(chosen.drop_duplicates("sweep_name", keep="last")["run_id"])
    studies: dict[str, dict[str, MeasuredCell]] = {}
    for study, run_id, key in zip(planned["study"], planned["run_id"], planned["cell_key"], strict=True):
        if run_id in asked_for or cells[key].measured:
            studies.setdefault(study, {})[key] = replace(cells[key], goal=goals.get(study, NO_GOAL))
    return {study: list(group.values()) for study, group in studies.items()}


def _goals(planned: DataFrame, runs: DataFrame) -> dict[str, Goal]:
    """The goal of each study, by the newest run that plans it: an older run's goal may have been withdrawn."""
    stated = dict(zip(runs["run_id"], runs["goals"], strict=True))
    newest = dict(zip(planned["study"], planned["run_id"], strict=True))  # plans are in the order of recording
    return {study: Goal(**stated[run_id].get(study, {})) for study, run_id in newest.items()}
