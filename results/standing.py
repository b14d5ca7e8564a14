"""What of some cells stands in an environment: their newest series of trials, from which follows what is still due."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from results.records import TrialKind


class StandingTrial(NamedTuple):
    """A trial of the newest series of its cell and kind."""

    cell_key: str
    kind: TrialKind
    process_index: int
    status: str
    source: str | None  # key of the code that was measured; None: not known
    series: str
    run_id: str
    unstable: float | None = None  # as METRICS says, of a timing that was the last of its cell; None of any other trial
    cut_ratio: float | None = None


@dataclass(frozen=True)
class Standing:
    """The trials that stand, and how they came to be."""

    trials: Sequence[StandingTrial] = ()
    measures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by run: how much it asked for
    last_process: int | None = None  # largest index of a timing process of any of the cells, in any series
