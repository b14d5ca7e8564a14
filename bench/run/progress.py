"""The progress of a run on stderr: how much is done, the time left, and what is measured now."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from bench.sweep.measure import Measure
from bench.worker.task import Task
from results.format import duration

_EVERY_S = 30.0  # between two lines of a log, within a block
_AT_LEAST_S = 1.0  # between two lines of a log: many short blocks share a line
_LEAST_LABEL = 8  # columns; a shorter piece of a label says nothing


class Progress:
    """The progress line, written between measurements and never during one.

    On a terminal the line is redrawn in place, and erased at the end. Elsewhere there is a new line for each block, and
    one every half minute within a block. Without a stream nothing is written.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._drawn = stream is not None and stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
        self._total = 0
        self._done = 0.0  # measurements; those of timing in fractions
        self._finished = 0  # measurements of the blocks that are done
        self._samples = 1  # of a cell's timing, if it takes as many processes as it may
        self._started = self._logged_at = time.monotonic()

    @contextmanager
    def over(self, measurements: int, measure: Measure) -> Iterator[None]:
        """Show the progress line while the body runs."""
        self._samples = measure.max_processes * (measure.rounds + 1)
        self._total = measurements
        self._started = self._logged_at = time.monotonic()
        try:
            yield
        finally:
            if self._drawn:
                self._write("\r\x1b[K")

    def show(self, task: Task) -> None:
        """Show the task that is measured next, and count the one before as done."""
        process = f" {task.process_index}" if task.kind in ("timing", "twin") else ""
        self._done += 1 / self._samples if process else 1
        label = f"{task.kind}{process} {task.cell.label}"
        if self._drawn:
            self._draw(label)
        elif time.monotonic() - self._logged_at >= _EVERY_S:
            self._log(label)

    def finish(self, measurements: int) -> None:
        """Count all due measurements of a block as done, including those that its failures have made needless."""
        self._finished += measurements
        self._done = self._finished
        if self._drawn:
            self._draw("")
        elif time.monotonic() - self._logged_at >= _AT_LEAST_S or self._finished >= self._total:
            self._log("")

    def _draw(self, label: str) -> None:
        room = self._columns() - 1  # a line as wide as the terminal would wrap
        width = min(24, room // 5)
        full, empty, cut = self._signs()
        filled = round(width * min(self._done / self._total, 1.0)) if self._total else width
        bar, counted = f"{full * filled}{empty * (width - filled)}  ", self._counted()
        candidates = (bar + counted, counted, counted.partition(",")[0])  # a narrow terminal has no bar
        line = next((text for text in candidates if len(text) <= room), "")
        left = room - len(line) - 2
        if label and counted in line and left >= _LEAST_LABEL:
            line += "  " + (label if len(label) <= left else label[: left - len(cut)] + cut)
        self._write(f"\r{line}\x1b[K")

    def _log(self, label: str) -> None:
        self._logged_at = time.monotonic()
        self._write(f"nodebench: {self._counted()}{label and ': '}{label}\n")

    def _counted(self) -> str:
        done, elapsed_s = min(int(self._done), self._total), time.monotonic() - self._started
        left = duration(elapsed_s * max(self._total / self._done - 1, 0.0)) if self._done else "?"
        return f"{done} of {self._total}, {left} left"

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80 if self._stream else 80
        except OSError:  # the terminal is gone
            return 80

    def _signs(self) -> tuple[str, str, str]:
        """The characters of a full and an empty piece of the bar, and the end of a label that is cut off."""
        try:
            "━─…".encode(self._stream.encoding if self._stream else "ascii")
        except UnicodeEncodeError:
            return "#", "-", "..."
        return "━", "─", "…"

    def _write(self, text: str) -> None:
        if self._stream:
            self._stream.write(text)
            self._stream.flush()
