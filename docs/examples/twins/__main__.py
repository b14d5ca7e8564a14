"""A test of the intervals: blocks with twins and a cell made 10 % slower, beside a process that disturbs at random.

    python docs/examples/twins --blocks 20

Each block times a control cell and its twin, the same cell under another name (these three do not differ), and the same
cell with every call made 10 % longer. Then these cells are timed one after the other, with as many samples. Twenty
blocks take five minutes, or more on a noisier machine. Exit code 1 if the intervals do not keep what they promise.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from planted import serve

import bench.worker.process
from bench.answers.columns import columns
from bench.machine.cores import chosen
from bench.machine.lock import turn
from bench.run.rounds import timed_in_rounds
from bench.run.timing import Group, SampleTable, clock, waves
from bench.sweep.file import Measure
from bench.worker.task import Task
from results.records import Cell, TrialKind
from results.statistics.ratio import Ratio, corrected, differs, median, noise_floor

MEASURE = Measure(processes=6, max_processes=16, rounds=20)
WORKLOADS = (
    Cell(
        problem="spiral", backend="node", solver="dopri5", horizon=1.5, n_outputs=11, rtol=1e-5, atol=1e-7,
        dtype="float64",
    ),
    Cell(
        problem="spiral_net", backend="node", solver="rk4", horizon=1.0, n_outputs=11, dt=0.1, batch_size=20,
        gradient="backprop",
    ),
)  # fmt: skip
RIVALS = ("again", "planted")
_SPINNER = """
import random, sys, time
draw = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + draw.expovariate(1.0)
    while time.monotonic() < end:
        pass
    time.sleep(draw.expovariate(1.0))
"""


@dataclass(frozen=True)
class Compared:
    """The results of a block's three comparisons with the control, and the seconds that it took."""

    ratios: Mapping[str, Ratio]  # twin, again, planted
    called: Mapping[str, bool]  # again, planted: beyond the twin's floor, corrected over both
    seconds: float


@contextmanager
def spinning(seed: int) -> Iterator[None]:
    """A body beside a process that keeps a core busy for a second or so, and then idles, at random."""
    spinner = subprocess.Popen([sys.executable, "-c", _SPINNER, str(seed)])
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


def asked(cell: Cell, kind: TrialKind, process_index: int) -> Task:
    """The task of timing a cell."""
    return Task(cell=cell, kind=kind, process_index=process_index, timeout_s=60.0, cores=chosen(cell.threads))


def interleaved(control: Cell) -> Compared:
    """One block, timed by the same rules as in every run."""
    start, table = time.monotonic(), SampleTable()
    cells = [control, *(replace(control, backend=name) for name in RIVALS)]
    group = Group(cells=cells, control=control, errors={}, measure=MEASURE, first_process=0, samples=table)
    for wave in waves(group, asked, lambda _: None):
        if failed := [trial for trial in wave if trial.status != "ok"]:
            raise SystemExit(f"a worker failed: {failed[0].status}: {failed[0].reason}")
    found = {name: table.ratio(cell, control) for name, cell in zip(RIVALS, cells[1:], strict=True)}
    found["twin"] = table.ratio(control, control)
    ratios = {name: ratio for name, ratio in found.items() if ratio is not None}
    floor, p_values = noise_floor(ratios["twin"]), corrected([ratios[name].p_value for name in RIVALS])
    called = {name: differs(ratios[name], floor, p) for name, p in zip(RIVALS, p_values, strict=True)}
    return Compared(ratios, called, time.monotonic() - start)


def one_after_the_other(control: Cell, samples: int) -> dict[str, tuple[float, float, float]]:
    """The ratio of medians and its interval for the same cells, each timed in one process without interleaving."""
    rng = np.random.default_rng(0)
    times = {}
    for name in (control.backend, "twin", *RIVALS):
        cell = control if name == "twin" else replace(control, backend=name)
        (trial,) = timed_in_rounds([asked(cell, "timing", 0)], samples, lambda _: None)
        times[name] = np.array([sample.value for sample in trial.samples[clock(control)]])
    under = times.pop(control.backend)
    return {name: _unpaired(over, under, rng) for name, over in times.items()}


def _unpaired(over: np.ndarray, under: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """The usual unpaired comparison: the ratio of the medians, and an interval from bootstrap resamples of each."""
    drawn = [np.median(rng.choice(values, (2000, len(values))), axis=1) for values in (over, under)]
    low, high = np.quantile(drawn[0] / drawn[1], [0.025, 0.975])
    return float(np.median(over) / np.median(under)), float(low), float(high)


def main() -> int:
    """Measure, print a line for each block, and print the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=20)
    blocks = parser.parse_args().blocks
    bench.worker.process.serve = serve
    by_rounds, in_turn = [], []
    with turn("twins", _tell):
        for index in range(blocks):
            control = WORKLOADS[index % len(WORKLOADS)]
            with spinning(index):
                by_rounds.append(interleaved(control))
                in_turn.append(one_after_the_other(control, by_rounds[-1].ratios["twin"].pairs))
            _tell(f"block {index + 1} of {blocks}: {by_rounds[-1].seconds:.0f} s")
    print(_table(by_rounds, in_turn))
    return _summed(by_rounds, in_turn)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(by_rounds: list[Compared], in_turn: list[dict[str, tuple[float, float, float]]]) -> str:
    header = ("block", "pairs", "twin", "again", "10 % slower", "called", "in turn: twin", "again", "10 % slower")
    rows = []
    for index, (block, one_by_one) in enumerate(zip(by_rounds, in_turn, strict=True)):
        ratios = [block.ratios[name] for name in ("twin", *RIVALS)]
        called = ", ".join(name for name, is_called in block.called.items() if is_called) or "none"
        rows.append((
            str(index + 1), str(ratios[0].pairs), *(_shown(ratio.value, ratio.low, ratio.high) for ratio in ratios),
            called, *(_shown(*one_by_one[name]) for name in ("twin", *RIVALS)),
        ))  # fmt: skip
    return columns(rows, header)


def _shown(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _summed(by_rounds: list[Compared], in_turn: list[dict[str, tuple[float, float, float]]]) -> int:
    n = len(by_rounds)
    widths = [block.ratios["twin"].half_width for block in by_rounds]
    covered, again = (
        sum(block.ratios[name].low <= 1 <= block.ratios[name].high for block in by_rounds) for name in ("twin", "again")
    )
    planted, mistaken = (sum(block.called[name] for block in by_rounds) for name in ("planted", "again"))
    print(f"\nInterleaved, {median([block.seconds for block in by_rounds]):.0f} s a block:")
    print(f"  the interval covers 1 for {covered} of {n} twins, and for {again} of {n} again;")
    print(f"  the twins' median half-width is {median(widths):.1%}, the largest {max(widths):.1%};")
    print(f"  called a difference: {planted} of {n} planted slowdowns, {mistaken} of {n} where there is none.")
    equal = [turn[name] for turn in in_turn for name in ("twin", "again")]
    wrong = sum(not low <= 1 <= high for _, low, high in equal)
    slower = sum(turn["planted"][1] > 1 for turn in in_turn)
    print("One after the other, with as many samples:")
    print(f"  the ratio of equal cells is off by up to {max(abs(ratio - 1) for ratio, _, _ in equal):.0%};")
    print(f"  the interval excludes 1 for {wrong} of {2 * n} equals, and for {slower} of {n} planted slowdowns.")
    held = covered >= 0.9 * n and median(widths) <= MEASURE.precision
    return 0 if held and planted >= 0.95 * n and not mistaken else 1


if __name__ == "__main__":
    sys.exit(main())
