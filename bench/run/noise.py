"""This machine's noise floor: by how much a cell's time differs from its own, now, and why."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from textwrap import fill

from bench.machine.cores import chosen
from bench.machine.findings import findings
from bench.machine.state import Facts, facts, snapshot
from bench.run.rounds import timed_in_rounds
from bench.run.timing import SampleTable
from bench.worker.task import Task
from results.records import Cell, Trial
from results.statistics.ratio import Ratio, median, noise_floor

_ROUNDS = 16  # as many as a sweep's default
_LEAST = 3  # processes of each: with fewer there is no interval
_TIMEOUT_S = 30.0
_WIDTH = 110

# Some milliseconds of many small operations, as most of what a sweep times.
CELL = Cell(problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=2, rtol=1e-5, atol=1e-7)


@dataclass(frozen=True)
class Noise:
    """The times of a cell measured as if it were two: in alternation, and for contrast one after the other."""

    twin: Ratio
    wave_ratios: tuple[float, ...]  # ratios of the medians of two processes that were timed in alternation
    sequential_ratios: tuple[float, ...]  # of two processes that were timed one after the other
    process_s: float  # seconds that one more process takes
    facts: Facts


def measured(seconds: float) -> Noise:
    """The noise of pairs of processes, timed in alternation and one after the other by turns, for this many seconds."""
    cores, samples = chosen(CELL.threads), SampleTable()
    timing = Task(cell=CELL, kind="timing", timeout_s=_TIMEOUT_S, cores=cores)
    _rounds([timing], 1)  # starts the forkserver, which takes seconds
    before, until = snapshot(), time.monotonic() + seconds
    ratios: list[float] = []
    sequential: list[float] = []
    spent_s = 0.0
    while len(ratios) < _LEAST or time.monotonic() < until:
        start = time.monotonic()
        first = replace(timing, process_index=len(ratios))
        twin = replace(first, kind="twin")
        pair = _rounds([first, twin], _ROUNDS)
        spent_s += time.monotonic() - start
        for trial in pair:
            samples.add(trial)
        ratios.append(_ratio(pair))
        sequential.append(_ratio([*_rounds([first], _ROUNDS), *_rounds([twin], _ROUNDS)]))
    seen = facts(before, snapshot(), cores)
    floor = samples.floors(CELL)["forward_s"]
    return Noise(floor, tuple(ratios), tuple(sequential), spent_s / len(ratios) / 2, seen)


def described(noise: Noise) -> str:
    """The noise as a text for somebody who measures on this machine for the first time."""
    return "\n".join([*_floor(noise), "", *_needed(noise), "", *_contrast(noise), "", *_explained(noise.facts)])


def processes_for(twin: Ratio, target: float) -> int:
    """The number of processes for a half-width of `target`, such as 0.03, if their ratios spread as these did.

    The half-width of n processes is t(n - 1) s / sqrt(n), where s is their spread and t Student's 97.5 % quantile.
    """
    from scipy.special import stdtrit

    n = twin.freedom + 1
    spread = twin.half_width * math.sqrt(n) / stdtrit(twin.freedom, 0.975)
    asked, enough = math.log1p(target) * (1 + 1e-9), 2
    while stdtrit(enough - 1, 0.975) * spread / math.sqrt(enough) > asked:
        enough += 1 + enough // 20
    return enough


def _floor(noise: Noise) -> list[str]:
    twin = noise.twin
    return [
        f"noise floor: {noise_floor(twin) - 1:.1%}",
        _wrapped(
            f"The same cell, timed as if it were two, takes {twin.value:.3f} times as long as itself, 95 % interval "
            f"{twin.low:.3f} to {twin.high:.3f}, by {len(noise.wave_ratios)} pairs of processes of {_ROUNDS} rounds. "
            "A smaller difference than this floor is called none.",
        ),
    ]


def _needed(noise: Noise) -> list[str]:
    lines = ["to know a ratio on this machine, as it is now, takes"]
    for target in (0.03, 0.01):
        processes = processes_for(noise.twin, target)
        seconds = processes * noise.process_s
        lines.append(
            f"  within {target:.0%}: {processes * _ROUNDS} samples of each cell ({processes} processes of {_ROUNDS} "
            f"rounds), {seconds:.0f} s for one as short as this"
        )
    return lines


def _contrast(noise: Noise) -> list[str]:
    alternating, sequential = noise.wave_ratios, noise.sequential_ratios
    return [
        "why cells are timed in alternation: two processes of the same cell differ by up to",
        f"  {_farthest(alternating):.1%} when timed in alternation, {_typical(alternating):.1%} typically",
        f"  {_farthest(sequential):.1%} when timed one after the other, {_typical(sequential):.1%} typically",
    ]


def _explained(seen: Facts) -> list[str]:
    where = f"on core {seen.pinned[0]}" if seen.pinned else "on whichever core was free"
    lines = [f"what was seen of this machine ({where} of {seen.cores_present}, one thread, load {seen.load or 0:.1f})"]
    for finding in findings(seen):
        lines += [_wrapped(finding.what, "- "), _wrapped(f"What helps: {finding.help}", "  ")]
    return lines if len(lines) > 1 else [*lines, "  nothing that disturbs"]


def _rounds(tasks: Sequence[Task], rounds: int) -> list[Trial]:
    trials = timed_in_rounds(tasks, rounds, lambda _: None)
    for trial in trials:
        if trial.status != "ok":
            raise RuntimeError(f"the built-in cell cannot be timed: {trial.status}: {trial.reason}")
    return trials


def _ratio(pair: Sequence[Trial]) -> float:
    """The ratio of the medians of two processes."""
    first, second = (median([sample.value for sample in trial.samples["forward_s"]]) for trial in pair)
    return second / first


def _farthest(ratios: Sequence[float]) -> float:
    return max(max(ratio, 1 / ratio) for ratio in ratios) - 1


def _typical(ratios: Sequence[float]) -> float:
    return median([max(ratio, 1 / ratio) for ratio in ratios]) - 1


def _wrapped(text: str, first: str = "  ") -> str:
    return fill(text, _WIDTH, initial_indent=first, subsequent_indent="  ", break_long_words=False)
