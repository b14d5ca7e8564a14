"""The stopping rule of timing: when a cell's ratio to the control is precise enough, or will not become so."""

import math
from dataclasses import dataclass
from enum import Enum

from bench.sweep.measure import Measure


class Stop(Enum):
    """The reason why a cell's timing stops, or NOT_YET."""

    NOT_YET = "it is timed in one more process"
    PRECISE = "its ratio is as precise as asked"
    SLOWER = "it is far slower than a cell whose error is no larger"
    SPENT = "the time or the processes that were granted are spent"


@dataclass(frozen=True)
class Timed:
    """The state of a cell's timing after some processes."""

    processes: int  # those that have timed the cell in all the rounds that are asked for
    half_width: float  # of the ratio's interval, relative; NaN without a ratio
    slower: float  # ratio to the time of the fastest cell whose error is no larger; NaN if not known
    late: bool  # whether the granted time is over
    is_control: bool = False


@dataclass(frozen=True)
class StopRule:
    """The decision of the stopping rule, and the metrics that it adds to the cell's last trial."""

    stop: Stop
    precise: bool
    slower: float = math.nan

    @classmethod
    def of(cls, timed: Timed, measure: Measure) -> "StopRule":
        """The decision for a cell with this state of timing, given how much is asked for.

        A control is never cut for being slower, because the other cells need it.
        """
        precise = timed.processes >= measure.processes and timed.half_width <= measure.precision
        if timed.slower > measure.cut_ratio and not timed.is_control:
            return cls(Stop.SLOWER, precise, timed.slower)
        if precise:
            return cls(Stop.PRECISE, precise)
        spent = timed.late or timed.processes >= measure.max_processes
        return cls(Stop.SPENT if spent else Stop.NOT_YET, precise)

    @property
    def ends(self) -> bool:
        """Whether the cell is timed no further."""
        return self.stop is not Stop.NOT_YET

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics of the decision for the cell's last trial; none while its timing continues."""
        if not self.ends:
            return {}
        cut = {"cut_ratio": self.slower} if self.stop is Stop.SLOWER else {}
        return {"unstable": float(not self.precise), **cut}
