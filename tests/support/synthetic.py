"""A made-up measurement of the four studies, whose numbers follow the same laws as real ones.

Errors fall as C dt^order down to a rounding floor, adaptive errors follow the tolerance, backprop's memory grows
with the steps and the adjoint's does not. All noise is seeded by the cell's key, so every database is the same. The
cells of a block are timed in groups, each beside the control and its twin; the load of a round is common to its cells.
"""

import math
import random
from collections.abc import Iterator, Sequence

from pandas import MultiIndex, Series

from results.records import Cell, Curve, Environment, NoiseFloor, Run, Sample, Trial, TrialKind
from results.statistics.ratio import paired_ratio
from results.store import Store
from tests.support.synthetic_cells import ORDERS, TORCHDIFFEQ_ADAPTIVE, TORCHDIFFEQ_FIXED, plan

STAGES = {
    "euler": 1, "midpoint": 2, "heun": 2, "bosh3": 3, "rk4": 4, "rk4_38": 4, "dopri5": 6, "tsit5": 6, "dopri8": 13,
}  # fmt: skip
CALL_S = {"node": 60e-6, "torchdiffeq": 150e-6}
ROUNDS = 5
PROCESSES = 3  # timing processes of each group of cells
TOGETHER = 30  # cells of a group, which are timed beside each other

MACHINE = Environment(
    {
        "cpu": "Example CPU @ 2.40GHz, 2 cores",
        "gpu": "none",
        "memory": "8 GiB",
        "os": "Linux 6.8 x86_64",
        "python": "3.11.9",
        "torch": "2.13.0",
        "torchdiffeq": "0.2.5",
        "threads": "1",
    }
)


def run(run_id: str = "run-1", *, started_at: float = 1_780_000_000.0, name: str = "default") -> Run:
    return Run(
        id=run_id,
        sweep_name=name,
        sweep_text='[[grid]]\nstudy = "solvers"\nsolver = ["euler", "rk4"]\n',
        environment=MACHINE,
        started_at=started_at,
        git_revision="0123456789abcdef0123456789abcdef01234567",
        git_dirty=True,
        volatile={"load": "0.42"},
    )


def fill(store: Store) -> None:
    """Record all trials of all planned cells but the last one, which stays pending."""
    planned = plan()
    store.begin(run(), planned)
    cells = list(dict.fromkeys(one.cell for one in planned))[:-1]
    blocks: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        blocks.setdefault(cell.block, []).append(cell)
    for block in blocks.values():
        for trial in _block_trials(block):
            store.record("run-1", trial)
        store.record_floors("run-1", _floors(_twins(block)))
    store.finish("run-1", state="complete")


def control_of(block: Sequence[Cell]) -> Cell | None:
    """The measurable cell of the block with the fewest evaluations; None if there is none."""
    return min(_timed(block), key=_nfe, default=None)


def _timed(block: Sequence[Cell]) -> list[Cell]:
    return [cell for cell in block if not (_missing(cell) or _reaches_max_steps(cell))]


def _groups(block: Sequence[Cell]) -> list[list[Cell]]:
    others = [cell for cell in _timed(block) if cell != control_of(block)]
    return [others[start : start + TOGETHER] for start in range(0, len(others), TOGETHER)]


def _block_trials(block: Sequence[Cell]) -> Iterator[Trial]:
    groups = _groups(block)
    of_group = {cell: index for index, group in enumerate(groups) for cell in group}
    for cell in block:
        first = of_group.get(cell, 0) * PROCESSES
        last = len(groups) * PROCESSES if cell == control_of(block) else first + PROCESSES
        yield from trials(cell, range(first, last))
    yield from (twin for twin, _ in _twins(block))


def _twins(block: Sequence[Cell]) -> list[tuple[Trial, Trial]]:
    """The timings of the control's twin, each with the control's own timing in the same process."""
    control = control_of(block)
    if control is None:
        return []
    processes = range(len(_groups(block)) * PROCESSES)
    own = [trial for trial in trials(control, processes) if trial.kind == "timing"]
    twins = _timings(control, _nfe(control), random.Random(f"{control.key} twin"), processes, "twin")
    return list(zip(twins, own, strict=True))


def _floors(pairs: Sequence[tuple[Trial, Trial]]) -> list[NoiseFloor]:
    floors = []
    for name in pairs[0][0].samples if pairs else ():
        twin, own = (_series_of([pair[side] for pair in pairs], name) for side in (0, 1))
        if ratio := paired_ratio(twin, own):
            key = pairs[0][0].cell_key
            floors.append(NoiseFloor(key, name, ratio.value, ratio.low, ratio.high, ratio.pairs))
    return floors


def _series_of(timed: Sequence[Trial], name: str) -> Series:
    values = {(one.process_index, each.round_index): each.value for one in timed for each in one.samples[name]}
    index = MultiIndex.from_tuples(list(values), names=["process_index", "round_index"])
    return Series(list(values.values()), index=index)


def trials(cell: Cell, processes: Sequence[int] = range(2)) -> Iterator[Trial]:
    """The trials that a run records of one cell; its timing processes have these indexes."""
    missing = _missing(cell)
    if missing:
        status, reason = missing
        yield Trial(cell_key=cell.key, kind="counts", status=status, reason=reason)
        return
    if _reaches_max_steps(cell):
        reason = "took 10000 steps and reached t=8.71: raise max_steps or loosen the tolerance"
        yield Trial(cell_key=cell.key, kind="counts", status="max_steps", reason=reason, duration_s=2.0)
        return
    noise = random.Random(cell.key)
    nfe = _nfe(cell)
    yield Trial(
        cell_key=cell.key, kind="counts", duration_s=0.1,
        metrics={"nfe_forward": nfe, **_backward_counts(cell, nfe)},
    )  # fmt: skip
    yield Trial(cell_key=cell.key, kind="accuracy", duration_s=0.1, metrics=_errors(cell, noise))
    yield from _timings(cell, nfe, random.Random(f"{cell.key} timing"), processes, "timing")
    if cell.gradient != "none":
        yield Trial(cell_key=cell.key, kind="memory", duration_s=0.2, metrics={"peak_bytes": _peak(cell, nfe)})
    if cell.iterations:
        yield _training(cell, nfe, noise)


def _reaches_max_steps(cell: Cell) -> bool:
    return cell.solver == "tsit5" and cell.rtol == 1e-9 and cell.problem == "lotka_volterra"


def _missing(cell: Cell) -> tuple[str, str] | None:
    if cell.device == "cuda":
        return "unavailable", "no CUDA device here"
    known = TORCHDIFFEQ_FIXED if cell.dt is not None else TORCHDIFFEQ_ADAPTIVE
    if cell.backend == "torchdiffeq" and cell.solver not in known:
        return "unsupported", f"torchdiffeq 0.2.5 has no {cell.solver}"
    return None


def _nfe(cell: Cell) -> float:
    stages = STAGES[cell.solver]
    if cell.dt is not None:
        return stages * math.ceil(cell.horizon / cell.dt)
    steps = cell.horizon * 1.2 * (cell.rtol or 1.0) ** (-1 / (ORDERS[cell.solver] + 1))
    return 2 + stages * math.ceil(steps)


def _backward_counts(cell: Cell, nfe: float) -> dict[str, float]:
    if cell.gradient == "backprop":
        return {"nfe_backward": 0, "vjp_backward": nfe}
    if cell.gradient == "adjoint":
        solves = (8 if cell.backend == "torchdiffeq" else 1) * cell.n_outputs
        return {"nfe_backward": nfe + solves, "vjp_backward": nfe + solves}
    return {}


def _errors(cell: Cell, noise: random.Random) -> dict[str, float]:
    order = ORDERS[cell.solver]
    if cell.dt is not None:
        error = 0.3 * noise.uniform(0.9, 1.1) * (cell.dt / 2) ** order
    else:
        error = (cell.rtol or 1.0) * cell.horizon * noise.uniform(1.0, 3.0)
    if cell.problem == "cosine" and cell.solver == "dopri8" and cell.dt == 0.03125:
        error = 0.0
    error = error if error == 0 else max(error, 2e-16 * noise.uniform(1, 4))
    errors = {"error": error, "error_final": error}
    if cell.gradient != "none":
        discrete = 1e-15 if cell.gradient == "backprop" else error * noise.uniform(0.5, 2)
        errors |= {"gradient_error": 3 * error * noise.uniform(0.5, 2), "gradient_error_discrete": discrete}
    return errors


def _timings(
    cell: Cell, nfe: float, noise: random.Random, processes: Sequence[int], kind: TrialKind
) -> Iterator[Trial]:
    """The timings of a cell; some of the finest cells are too noisy to be stable."""
    forward_s = 30e-6 + nfe * CALL_S[cell.backend]
    counts = _backward_counts(cell, nfe)
    backward_s = sum(counts.values()) * CALL_S[cell.backend] * 1.4
    unstable = kind == "timing" and noise.random() < 0.2 and (cell.dt == 0.03125 or (cell.rtol or 1.0) <= 1e-7)
    spread = 0.2 if unstable else 0.01
    for process_index in processes:
        busy = random.Random(f"{cell.block} {process_index}")
        load = [busy.lognormvariate(0, 0.15) for _ in range(ROUNDS)]
        samples = {"forward_s": _series(forward_s, load, noise, spread)}
        if cell.gradient != "none":
            samples["gradient_s"] = _series(forward_s + backward_s, load, noise, spread)
        stability = {"unstable": float(unstable)} if kind == "timing" and process_index == processes[-1] else {}
        yield Trial(
            cell_key=cell.key, kind=kind, process_index=process_index, duration_s=0.4,
            metrics={"first_call_s": 3 * forward_s, "busy_s": 0.39, **stability}, samples=samples,
        )  # fmt: skip


def _series(median_s: float, load: list[float], noise: random.Random, spread: float) -> list[Sample]:
    return [
        Sample(round_index, noise.randrange(8), median_s * factor * noise.lognormvariate(0, spread), 3)
        for round_index, factor in enumerate(load)
    ]


def _peak(cell: Cell, nfe: float) -> float:
    kept = nfe * 2600 if cell.gradient == "backprop" else 90_000 + 700 * cell.n_outputs
    return 300_000 + kept


def _training(cell: Cell, nfe: float, noise: random.Random) -> Trial:
    """The training of a cell: Euler's result has a large loss under a finer solver; Adam is faster, but no better."""
    floor = {"euler": 0.21, "rk4": 0.031, "dopri5": 0.024, "bosh3": 0.027}[cell.solver]
    floor *= (1.0 if cell.gradient == "backprop" else 1.15) * noise.lognormvariate(0, 0.1)
    decay_iterations = 25 if cell.optimiser == "Adam" else 40
    losses = [
        floor + 1.1 * math.exp(-i / decay_iterations) * noise.lognormvariate(0, 0.06) for i in range(cell.iterations)
    ]
    train_s = cell.iterations * CALL_S[cell.backend] * nfe * (2.4 if cell.gradient == "backprop" else 4.4) / 10
    train_s *= noise.lognormvariate(0, 0.05)
    t = [cell.horizon * i / 99 for i in range(100)]
    done = [round(i * cell.iterations / 10) for i in range(11)]
    whole = [floor + 3.0 * math.exp(-i / decay_iterations) * noise.lognormvariate(0, 0.1) for i in done]
    counted = [round(i * (cell.iterations - 1) / 19) for i in range(20)]
    calls = [round(nfe * (1 if cell.dt is not None else 1 + 0.3 * i / cell.iterations)) for i in counted]
    backward = [_backward_counts(cell, each)["nfe_backward"] for each in calls]
    lost = 6.0 if cell.solver == "euler" else 1.01
    seconds = [train_s * (i + 1) / cell.iterations for i in range(cell.iterations)]
    rows = [[loss] for loss in losses]
    return Trial(
        cell_key=cell.key, kind="training", duration_s=train_s,
        metrics={
            "initial_loss": whole[0], "final_loss": whole[-1], "train_s": train_s,
            "nfe_start": calls[0], "nfe_end": calls[-1],
        },
        curves={
            "loss": Curve([float(i) for i in range(cell.iterations)], rows),
            "loss_seconds": Curve(seconds, rows),
            "whole_loss": Curve([float(i) for i in done], [[loss] for loss in whole]),
            "nfe": Curve(
                [float(i) for i in counted],
                [[float(n), back, float(n)] for n, back in zip(calls, backward, strict=True)],
            ),
            "evaluation": Curve([0.0, 1.0], [[whole[-1] * lost, 1001.0, 1.0], [whole[-1] * lost * 1.2, 600.0, 1.0]]),
            "trajectory_true": Curve(t, [_spiral(time, 0.0) for time in t]),
            "trajectory_learned": Curve(t, [_spiral(time, floor) for time in t]),
        },
    )  # fmt: skip


def _spiral(t: float, wrong: float) -> list[float]:
    radius = 2 * math.exp(-0.08 * t * (1 + wrong))
    angle = 1.3 * t * (1 + 0.3 * wrong)
    return [radius * math.cos(angle), radius * math.sin(angle)]
