"""Blocks: the control that their cells are timed beside, and the noise floor that the control's twin shows."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pandas import Series

from results.records import Cell
from results.statistics.ratio import Ratio, noise_floor, paired_ratio


def denominator_of(samples: Mapping[str, Series], name: str) -> Series | None:
    """The samples that samples of this name are divided by: those of this name, or else of the forward solve."""
    return samples.get(name, samples.get("forward_s"))


@dataclass(frozen=True)
class Control:
    """A cell that was timed in every round of its block, and again in another process, as its twin."""

    key: str
    cell: Cell
    samples: Mapping[str, Series]  # indexed by (run_id, process_index, round_index)
    twins: Mapping[str, Ratio]  # the twin's time over the cell's, by name of samples

    @classmethod
    def of(cls, key: str, cell: Cell, samples: Mapping[str, Series], twin: Mapping[str, Series]) -> "Control":
        """The control, with the ratio of each series of samples that the cell and its twin have."""
        ratios = {name: paired_ratio(twin[name], samples[name]) for name in twin.keys() & samples.keys()}
        return cls(key, cell, samples, {name: ratio for name, ratio in sorted(ratios.items()) if ratio})

    def denominator(self, name: str) -> Series | None:
        """The control's samples that samples of this name are divided by."""
        return denominator_of(self.samples, name)

    def floor(self, name: str) -> float:
        """The noise floor of samples of this name; infinite where the twin was never timed with it."""
        twin = self.twins.get(name, self.twins.get("forward_s"))
        return noise_floor(twin) if twin else math.inf


@dataclass(frozen=True)
class Block:
    """The controls of a block: one; several where one failed and another took its place; none in old runs."""

    controls: tuple[Control, ...] = ()
    # Timings of every cell that ever was a control, by code: they link the cells that were timed beside it.
    ties: tuple[Mapping[str, Series], ...] = ()

    def links(self, name: str) -> Iterator[Series]:
        """The series that samples of this name may share rounds with, and so be linked by."""
        for samples in (*(each.samples for each in self.controls), *self.ties):
            if (denominator := denominator_of(samples, name)) is not None:
                yield denominator

    @property
    def has_floor(self) -> bool:
        """Whether the twin of a control was timed."""
        return any(each.twins for each in self.controls)

    def floor(self, name: str) -> float:
        """The factor by which a cell's time may differ from itself; 1 without a twin.

        A control that failed before its second process gives no bound: it is left out if another gives one.
        """
        if not self.has_floor:
            return 1.0
        floors = [each.floor(name) for each in self.controls]
        return max(filter(math.isfinite, floors), default=math.inf)


NO_CONTROL = Block()
