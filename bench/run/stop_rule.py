"""The stopping rule of timing: when a cell's ratio to the control is sure enough, or will not become so."""

import math
from dataclasses import dataclass
from enum import Enum

from bench.sweep.measure import Measure


class Stop(Enum):
    """Why a cell is timed no further, or that it is."""

    NOT_YET = "it is timed in one more process"
    SURE = "its ratio is as sure as asked"
    SLOWER = "it is far slower than a cell that errs no more"
    SPENT = "the time or the processes that were granted are spent"


@dataclass(frozen=True)
class Timed:
    """What is known of a cell after some processes."""

    processes: int  # that have timed it in all the rounds that are asked for
    half_width: float  # of the ratio's interval, relative; NaN without a ratio
    slower: float  # how many times slower than the fastest cell that errs no more; NaN where that is not known
    late: bool  # whether the time that was granted is over
    is_control: bool = False


@dataclass(frozen=True)
class StopRule:
    """The rule's decision, and what of it is recorded with the last trial."""

    stop: Stop
    sure: bool
    slower: float = math.nan

    @classmethod
    def of(cls, timed: Timed, measure: Measure) -> "StopRule":
        """The decision for a cell of which this is known, where this much is asked for.

        A control is never cut for being slower: the others need it.
        """
        sure = timed.processes >= measure.processes and timed.half_width <= measure.precision
        if timed.slower > measure.cut_ratio and not timed.is_control:
            return cls(Stop.SLOWER, sure, timed.slower)
        if sure:
            return cls(Stop.SURE, sure)
        spent = timed.late or timed.processes >= measure.max_processes
        return cls(Stop.SPENT if spent else Stop.NOT_YET, sure)

    @property
    def ends(self) -> bool:
        """Whether the cell is timed no further."""
        return self.stop is not Stop.NOT_YET

    @property
    def metrics(self) -> dict[str, float]:
        """What the cell's last trial records of it; nothing while it is timed further."""
        if not self.ends:
            return {}
        cut = {"cut_ratio": self.slower} if self.stop is Stop.SLOWER else {}
        return {"unstable": float(not self.sure), **cut}
