"""How far a run has got, on stderr: the cell that is measured now and the time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from bench.measure import Measure
from bench.task import Task


class Progress:
    """A bar that is redrawn between measurements and never while one runs."""

    def __init__(self, console: Console):
        self._bar = Bar(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("measurements,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.description}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._finished = 0.0  # measurements of the blocks that are done
        self._samples = 1  # of a cell's timing, if it takes as many processes as it may

    @contextmanager
    def over(self, measurements: int, measure: Measure) -> Iterator[None]:
        """Show the bar while the body runs."""
        self._samples = measure.max_processes * (measure.rounds + 1)
        self._bar.update(self._task, total=measurements)
        with self._bar:
            yield

    def show(self, task: Task) -> None:
        """Name what is measured next; what was shown before is done."""
        process = f" {task.process_index}" if task.kind in ("timing", "twin") else ""
        self._bar.advance(self._task, 1 / self._samples if process else 1)
        self._bar.update(self._task, description=f"{task.kind}{process} {task.cell.label}", refresh=True)

    def finish(self, measurements: int) -> None:
        """A block is done: all that was due of it counts, also what its failures made needless."""
        self._finished += measurements
        self._bar.update(self._task, completed=self._finished, refresh=True)
