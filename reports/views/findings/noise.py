"""The noise floor of each block, which is how much two timings of the same cell differed."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from reports.blocks import Control
from reports.measured import MeasuredCell
from reports.views.findings.comparison import floor_range, floor_text, known_floor
from reports.views.findings.configuration import Configuration, grouped, settings, step
from reports.views.parts.table import Column, Table, Value, number, tabulate, words
from results import format as text
from results.statistics.ratio import median

FLOOR_TITLE = "far end of the 95% interval of the twin's time over the control's [that interval]"


@dataclass(frozen=True)
class TimedBlock:
    """The cells of a block that were timed."""

    title: str
    cells: tuple[MeasuredCell, ...]

    @property
    def controls(self) -> tuple[Control, ...]:
        """The controls that the cells were timed beside."""
        return self.cells[0].block.controls

    @property
    def floor(self) -> float:
        """The largest noise floor over the names of samples, as a factor; infinite if it is not known."""
        names = {name for each in self.controls for name in each.twins}
        return max((self.cells[0].block.floor(name) for name in names), default=math.inf)


@dataclass(frozen=True)
class ControlRow:
    """A row of the table of blocks: a control and its block."""

    block: TimedBlock
    control: Control


def timed_blocks(cells: Collection[MeasuredCell]) -> list[TimedBlock]:
    """The blocks in which anything was timed."""
    problems = grouped([each for each in cells if each.samples], lambda each: each.cell.problem)
    return [  # by problem: a title states what differs within one problem
        TimedBlock(title, tuple(block)) for group in problems.values() for title, block in settings(group).items()
    ]


def noise_note(cells: Collection[MeasuredCell]) -> str:
    """A line on the noise floors of the cells' blocks; empty if nothing was timed."""
    blocks = timed_blocks(cells)
    floors = _known(blocks)
    if not floors:
        return _unknown(blocks)
    over = f" over {text.plural(len(floors), 'block')}" if len(floors) > 1 else ""
    said = f"Noise floor: {floor_range(floors)}{over}. No smaller difference of times is called one."
    return f"{said} {_unknown(blocks)}".rstrip()


def noise_summary(cells: Collection[MeasuredCell]) -> str:
    """A line on the median noise floor and the worst block; empty if nothing was timed."""
    blocks = timed_blocks(cells)
    floors = _known(blocks)
    if not floors:
        return _unknown(blocks)
    said = floor_text(median(floors))
    if len(floors) > 1:
        worst = max((each for each in blocks if known_floor(each.floor)), key=lambda each: each.floor)
        said = f"{said} (median of {len(floors)} blocks), at worst {floor_text(worst.floor)} ({worst.title})"
    return f"Two timings of the same cell differed by up to {said}. {_unknown(blocks)}".rstrip()


def noise_table(cells: Collection[MeasuredCell]) -> Table | None:
    """The table of blocks: the control, its noise floors, and the number of cells timed less precisely than asked."""
    rows = [ControlRow(block, each) for block in timed_blocks(cells) for each in block.controls]
    if not rows:
        return None
    return tabulate(
        "Noise floor of each block",
        [
            Column[ControlRow]("block", lambda row: words(row.block.title)),
            Column("forward\nfloor", lambda row: _floor(row.control, "forward_s"), True, FLOOR_TITLE),
            Column("gradient\nfloor", lambda row: _floor(row.control, "gradient_s"), True, FLOOR_TITLE),
            Column("cells\ntimed", lambda row: number(len(row.block.cells), text.count), True),
            Column("of these\n≈", _unsettled, True, "less sure than asked"),
            Column("control", lambda row: words(_control_text(row.control), link=row.control.key)),
        ],
        rows,
    )


def _known(blocks: Collection[TimedBlock]) -> list[float]:
    return [each.floor for each in blocks if known_floor(each.floor)]


def _unknown(blocks: Collection[TimedBlock]) -> str:
    """The number of blocks without a floor, as a text; empty if all have one."""
    unknown = len(blocks) - len(_known(blocks))
    if not unknown:
        return ""
    where = "here" if unknown == len(blocks) else f"in {text.plural(unknown, 'block')}"
    return f"The noise floor is not known {where}: no cell was timed twice, in enough processes."


def _control_text(control: Control) -> str:
    cell = control.cell
    return f"{Configuration.of_cell(cell)}, {step(cell)}"


def _floor(control: Control, name: str) -> Value:
    if name not in control.twins:
        return Value(text.MISSING, None)
    floor = control.floor(name)
    note = text.interval(control.twins[name]) if known_floor(floor) else ""
    return Value(floor_text(floor), floor, note=note)


def _unsettled(row: ControlRow) -> Value:
    return number(sum(each.unstable for each in row.block.cells), text.count)
