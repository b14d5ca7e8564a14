"""How far a run has got, on stderr: the cell that is measured now and the time left."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from bench.protocol import Pending


class Progress:
    """A bar that is redrawn between measurements and never while one runs."""

    def __init__(self, console: Console):
        self._bar = Bar(
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("trials,"),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.description}"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=None)
        self._finished = 0.0  # trials of the blocks that are done

    @contextmanager
    def over(self, trials: int) -> Iterator[None]:
        """Show the bar while the body runs."""
        self._bar.update(self._task, total=trials)
        with self._bar:
            yield

    def show(self, pending: Pending, part: str = "") -> None:
        """Name what is measured next."""
        self._bar.update(self._task, description=f"{pending.kind} {part} {pending.cell.label}", refresh=True)

    def advance(self, trials: float) -> None:
        """Count what has been measured; a part of a trial counts as such."""
        self._bar.advance(self._task, trials)

    def finish(self, trials: int) -> None:
        """A block is done: all of its trials count, also those that its failures made needless."""
        self._finished += trials
        self._bar.update(self._task, completed=self._finished, refresh=True)
