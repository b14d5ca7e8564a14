"""The task of a worker: one trial of one cell, with its limits and the true values that are known."""

from dataclasses import dataclass

from results.records import Cell, TrialKind, TrueValues


@dataclass(frozen=True, kw_only=True)
class Task:
    """One trial for one isolated process."""

    cell: Cell
    kind: TrialKind
    process_index: int = 0
    timeout_s: float  # of the trial; while timing, of the warm-up and of each sample
    memory_bytes: int | None = None  # the most that the process may allocate; None: as much as there is
    cores: tuple[int, ...] = ()  # the cores that the process may use; empty: all
    use: tuple[str, ...] = ()  # the user's files and modules that are loaded first
    true_values: tuple[TrueValues, ...] = ()  # of the problem, those that are kept
